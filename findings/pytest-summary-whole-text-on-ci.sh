#!/bin/sh
# A plugin may append to the text of a failure that pytest reports as plain text (a strict xfail that passed).
# With the variable CI set, pytest's short summary, else one line for each failure, then has the whole text
# of such a failure, every appended line of it; a failure that is an exception keeps its one line.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check pytest==9.2.0 2> /dev/null
"$folder/venv/bin/python" -m pip list --disable-pip-version-check 2> /dev/null | grep '^pytest'
cat > "$folder/conftest.py" << 'EOF'
import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    if report.failed and isinstance(report.longrepr, str):
        report.longrepr += "\nappended by a plugin"
    elif report.failed:
        report.longrepr.addsection("section", "added by a plugin")
    return report
EOF
cat > "$folder/test_it.py" << 'EOF'
import pytest


@pytest.mark.xfail(strict=True, reason="a reason")
def test_strict():
    pass


def test_raises():
    raise ValueError("an error")
EOF
cd "$folder"
for ci in '' true; do
    CI=$ci venv/bin/python -m pytest -p no:cacheprovider --tb=no test_it.py > output.txt || true
    sed -n '/short test summary/,$p' output.txt
    test "$(grep -c 'added by a plugin' output.txt)" = 0
    test "$(grep -c 'appended by a plugin' output.txt)" = "$(test -z "$ci" && echo 0 || echo 1)"
done
