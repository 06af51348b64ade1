#!/usr/bin/env bash
# mypy 1.18.2 takes `dataclasses.field(default_factory=dict, repr=False)` as the default of a member
# of a NamedTuple that is a mapping, also with --strict. At run time the member then is the Field
# itself, and repr shows it: whoever turns a dataclass into a named tuple gets no word of it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet mypy==1.18.2
cat > made.py <<'END'
from collections.abc import Mapping
from dataclasses import field
from typing import NamedTuple


class Made(NamedTuple):
    names: Mapping[str, str] = field(default_factory=dict, repr=False)


print(type(Made().names).__name__)
END
checked=$(env/bin/mypy --strict made.py)
seen=$(env/bin/python made.py)
echo "$checked"
echo "$seen"
test "$checked" = "Success: no issues found in 1 source file"
test "$seen" = Field
