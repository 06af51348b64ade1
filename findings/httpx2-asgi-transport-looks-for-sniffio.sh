#!/usr/bin/env bash
# Each request through ASGITransport of httpx2 2.16.2 imports sniffio, which httpx2 does not install.
# Python does not remember that a module was not found, so every request searches the whole path
# again, in this small application a third of its time or more. With sniffio there it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet httpx2==2.16.2
cat > calls.py <<'END'
import asyncio
import sys
import time

import httpx2

REQUESTS = 300
searches = []


class Spy:
    @staticmethod
    def find_spec(name, path=None, target=None):
        searches.append(name)


async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def main():
    transport = httpx2.ASGITransport(application)
    async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
        await client.get("http://host.test/")
        sys.meta_path.insert(0, Spy)
        began = time.process_time()
        for _ in range(REQUESTS):
            await client.get("http://host.test/")
        return time.process_time() - began


spent = asyncio.run(main())
print(f"{spent / REQUESTS * 1e6:.0f} us a request", file=sys.stderr)
print(f"{searches.count('sniffio') / REQUESTS:g} searches a request")
END
without=$(env/bin/python calls.py)
env/bin/pip install --quiet sniffio==1.3.1
with=$(env/bin/python calls.py)
echo "without sniffio: $without; with it: $with"
test "$without" = "1 searches a request"
test "$with" = "0 searches a request"
