#!/bin/sh
# jsonschema-rs calls a valid pattern no regular expression where its compiled form is too large, and
# what is large depends on the characters: a counted dot takes over a kilobyte for each repetition,
# as it stands for all of Unicode, a counted [a-z] next to nothing. maxLength says the same for free.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    jsonschema-rs==0.60.3 2> /dev/null
"$folder/venv/bin/python" -m pip list --disable-pip-version-check 2> /dev/null | grep '^jsonschema'
"$folder/venv/bin/python" - << 'END'
import re

from jsonschema_rs import Draft202012Validator, ValidationError


def outcome(pattern):
    re.compile(pattern)  # it is one
    try:
        validator = Draft202012Validator({"pattern": pattern})
    except ValidationError as error:
        return error.message
    assert validator.is_valid("a" * 20)
    return "taken"


found = {pattern: outcome(pattern) for pattern in ("^.{0,2000}$", "^.{0,20000}$", "^[a-z]{0,20000}$")}
for pattern, what in found.items():
    print(f"{pattern:18} {what}")
assert found["^.{0,2000}$"] == found["^[a-z]{0,20000}$"] == "taken"
assert found["^.{0,20000}$"] == '"^.{0,20000}$" is not a "regex"'
assert Draft202012Validator({"maxLength": 20_000}).is_valid("a" * 20_000)
END
