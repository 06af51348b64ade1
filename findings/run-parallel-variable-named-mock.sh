#!/bin/sh
# pytest-run-parallel decides by name what is thread-unsafe, and does not ask what the name stands for:
# a test whose local variable is called `mock` counts as one that uses the library `mock`, and is not
# run in parallel. The same test with another name for the variable is.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    pytest==9.2.0 pytest-run-parallel==0.10.0 2> /dev/null
"$folder/venv/bin/python" -m pip list --disable-pip-version-check 2> /dev/null | grep '^pytest'
cat > "$folder/test_names.py" << 'EOF'
from types import SimpleNamespace


def test_named_mock():
    mock = SimpleNamespace(answer=lambda: 42)
    assert mock.answer() == 42


def test_named_server():
    server = SimpleNamespace(answer=lambda: 42)
    assert server.answer() == 42
EOF
cd "$folder"
venv/bin/python -m pytest -v -p no:cacheprovider --parallel-threads=2 test_names.py > output.txt
grep '::' output.txt
grep -q 'test_named_mock was not run in parallel: calls thread-unsafe function: mock.answer' output.txt
grep -q 'test_named_server PARALLEL PASSED' output.txt
