#!/usr/bin/env bash
# httpx2 2.16.2 follows `.` and `..` in the path of a URL, but where they are its last segment it
# drops the slash that stays there by RFC 3986, 5.2.4, and asks for another resource than the one
# that urljoin of Python's own library makes of it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet httpx2==2.16.2
cat > paths.py <<'END'
from urllib.parse import urljoin, urlsplit

import httpx2

for path in ("/a/b/../c", "/a/b/..", "/a/b/."):
    found = httpx2.URL(f"http://host.test{path}").path
    joined = urlsplit(urljoin("http://host.test/", path)).path
    print(path, found, joined)
END
seen=$(env/bin/python paths.py)
echo "$seen"
test "$seen" = "/a/b/../c /a/c /a/c
/a/b/.. /a /a/
/a/b/. /a/b /a/b/"
