#!/usr/bin/env bash
# uvicorn with httptools gives an application no body of a request that offers another protocol.
#
# Java's HttpClient offers HTTP/2 (`Upgrade: h2c`) with each request over plain HTTP. A server may
# ignore the offer (RFC 9110, 7.8), and answers the request then. The parser takes it to end with
# its headers, and what follows, the body, for octets of the new protocol: the application reads
# an empty body. With h11 in the place of httptools it reads the body.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet uvicorn==0.54.0 httptools==0.9.0 h11==0.16.0
cat > "$folder/seen.py" <<'PYTHON'
import asyncio
import socket
import sys

import uvicorn

REQUEST = (
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n\r\nhello"
)
seen = []


async def app(scope, receive, send):
    seen.append((await receive())["body"])
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def main(parser):
    sock = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=parser, lifespan="off", ws="none", log_level="critical")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([sock]))
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    writer.write(REQUEST)
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    writer.close()
    server.should_exit = True
    await serving


asyncio.run(main(sys.argv[1]))
print(sys.argv[1], seen[0])
PYTHON
"$folder/venv/bin/pip" list 2> /dev/null | grep -E '^(uvicorn|httptools|h11) '
for parser in h11 httptools; do
  timeout 30 "$folder/venv/bin/python" "$folder/seen.py" "$parser" | tee -a "$folder/output"
done
diff "$folder/output" - <<< "h11 b'hello'
httptools b''"
