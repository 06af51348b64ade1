"""Keep connections busy with one request, each until it has its answer: a closed loop.

`load.py PORT CONNECTIONS SECONDS < request` prints answers a second, and the median and the 99th
percentile of their milliseconds, as JSON. Where the request has the word NUMBER!, each time another
number is there. It is a process of its own, so that it takes no time from whom it measures.
"""

import json
import selectors
import socket
import sys
import time
from itertools import count

CHUNKED_END = b"0\r\n\r\n"
NUMBER = b"NUMBER!"


def complete(answer: bytes) -> bool:
    """Say whether an answer is there as a whole."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    if b"content-length" in lines:
        return len(body) == int(lines[b"content-length"])
    return body.endswith(CHUNKED_END)


def load(port: int, connections: int, seconds: float, raw: bytes) -> list[float]:
    """Return the milliseconds of each answer in that time."""
    selector = selectors.DefaultSelector()
    times: list[float] = []
    new = count(1)

    def ask(sock: socket.socket) -> None:
        sock.sendall(raw.replace(NUMBER, b"%07d" % next(new)))

    for _ in range(connections):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ask(sock)
        selector.register(sock, selectors.EVENT_READ, [sock, b"", time.perf_counter()])
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for key, _ in selector.select(end - time.perf_counter()):
            sock, had, since = key.data
            if not (part := sock.recv(65_536)):
                raise SystemExit("the server closed a connection")
            if complete(had + part):
                now = time.perf_counter()
                times.append((now - since) * 1_000)
                key.data[1:] = b"", now
                ask(sock)
            else:
                key.data[1] = had + part
    return times


def main() -> None:
    """Print the figures."""
    port, connections, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    times = sorted(load(port, connections, seconds, sys.stdin.buffer.read()))
    if not times:
        raise SystemExit("no answer came in time")
    figures = len(times) / seconds, times[len(times) // 2], times[len(times) * 99 // 100]
    print(json.dumps(dict(zip(("rate", "p50", "p99"), figures, strict=True))))


if __name__ == "__main__":
    main()
