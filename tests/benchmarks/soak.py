"""Mixed traffic for a while, with assertions on memory, descriptors, tasks and delay: `make soak`.

Each worker has a namespace of its own, so that it knows what must be in it: each 200 has its
message, each message its call. Beside them there are clients that behave badly, and a probe.
"""

import argparse
import asyncio
import json
import logging
import os
import random
import smtplib
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from resource import getpagesize
from typing import Any

import httpx2

from mockserver import MockServer

WORKERS = 6
ROUND = 60  # actions of a worker before it counts what there is
LEAST_ROOM = 16 * 1024 * 1024  # octets that memory may differ by anyway
MAX_DELAY_S = 0.25
MAX_MEMORY = 400 * 1024 * 1024

PATH = "/KeyfactorAPI/SMTP/Test"
ADMIN = ("KEYEXAMPLE\\admin", "admin-password")
HEADERS = {"x-keyfactor-requested-with": "APIClient", "x-keyfactor-api-version": "2"}
MAIL = {
    "Host": "relay.test",
    "Port": 25,
    "SenderAccount": "jsmith@keyexample.com",
    "SenderName": "Keyfactor Command",
    "TestRecipient": "mjones@keyexample.com",
}
OAUTH = {
    "RelayAuthenticationType": 3,
    "ClientId": {"SecretValue": "command-email"},
    "ClientSecret": {"SecretValue": "MySuperSecretClientSecret"},
    "Host": "smtp.keyexample.com",
    "SenderAccount": "command@keyexample.com",
}
DELIVERED: tuple[dict[str, Any], ...] = (
    {},
    {"Port": 587, "UseSSL": True},
    {"Port": 465, "UseSSL": True},
    OAUTH | {"Port": 587, "UseSSL": True},
)
REFUSED: tuple[dict[str, Any], ...] = (
    {"Port": 0},
    {"TestRecipient": "nobody"},
    {"RelayPasword": "x"},
    {f"Field {number}": number for number in range(200)},
    *({"Host": host} for host in ("refused.test", "denied.test", "dropped.test", "badlogin.test")),
)


def serve() -> None:
    """Run a mock; tell its facts, and for each line of input how many tasks there are."""
    logging.disable()  # what the misbehaving clients do would fill the screen
    with MockServer(https_port=0, smtp_port=0) as mock:
        print(json.dumps({"url": mock.url, "smtp": mock.port("smtp")}), flush=True)
        for _ in sys.stdin:
            tasks = mock._loop.call(lambda: len(asyncio.all_tasks()))  # noqa: SLF001  # nothing else tells
            print(tasks, flush=True)


class Soak:
    """One run: the server's process, and what was seen of it."""

    def __init__(self, process: asyncio.subprocess.Process, facts: dict[str, Any]) -> None:
        self.process = process
        self.url: str = facts["url"]
        self.port = int(self.url.rpartition(":")[2])
        self.smtp: int = facts["smtp"]
        self.memory: list[int] = []
        self.delays: list[float] = []
        self.actions = 0
        self.faults: list[str] = []

    async def tasks(self) -> int:
        """Ask how many tasks the mock has."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(b"\n")
        return int(await self.process.stdout.readline())

    def files(self) -> int:
        """Count the open descriptors of the mock."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208  # no path is needed

    def resident(self) -> int:
        """Return the octets of memory that the mock has."""
        fields = Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()
        return int(fields[1]) * getpagesize()

    async def probe(self, until: float) -> None:
        """Measure a small call on a new connection, and the memory."""
        while time.monotonic() < until:
            began = time.perf_counter()
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            await reader.read()
            writer.close()
            self.delays.append(time.perf_counter() - began)
            self.memory.append(self.resident())
            await asyncio.sleep(0.1)

    async def work(self, name: str, until: float) -> None:
        """Call and send, and count after each round what the mock has of it."""
        chance = random.Random(name)
        async with httpx2.AsyncClient(base_url=f"{self.url}/_mock/ns/{name}", timeout=60) as http:
            while time.monotonic() < until:
                calls: dict[str, int] = {}
                for _ in range(ROUND):
                    response = await self._act(http, chance)
                    self.actions += 1
                    if response is not None:
                        calls[response.headers["x-mock-request-id"]] = response.status_code
                await self._count(http, calls)
                await http.delete(f"{self.url}/_mock/ns/{name}")

    async def _act(self, http: httpx2.AsyncClient, chance: random.Random) -> httpx2.Response | None:
        if chance.random() < 0.1:
            await self._look(http, chance)
            return None
        changes = chance.choice(DELIVERED if chance.random() < 0.6 else REFUSED)
        fault = {"X-Mock-Fault": "503"} if chance.random() < 0.05 else {}
        return await http.post(PATH, json=MAIL | changes, headers=HEADERS | fault, auth=ADMIN)

    async def _look(self, http: httpx2.AsyncClient, chance: random.Random) -> None:
        path = chance.choice(
            ["messages", "requests", "world", "messages?recipient=x", "openapi/v2.json"]
        )
        response = await http.get(f"/{path}")
        if response.status_code != 200:
            self.faults.append(f"{path}: {response.status_code}")

    async def _count(self, http: httpx2.AsyncClient, calls: dict[str, int]) -> None:
        messages = (await http.get("/messages")).json()["messages"]
        requests = {each["id"]: each for each in (await http.get("/requests")).json()["requests"]}
        sent = sorted(call for call, status in calls.items() if status == 200)
        if sorted(message["request_id"] for message in messages) != sent:
            self.faults.append(f"{len(sent)} answers of 200, {len(messages)} messages")
        if requests.keys() != calls.keys():
            self.faults.append(f"{len(calls)} calls, {len(requests)} kept")
        if any(requests[each["request_id"]]["message_id"] != each["id"] for each in messages):
            self.faults.append("a message is not that of its call")

    async def send(self, until: float) -> None:
        """Send mail from outside, small and large."""
        while time.monotonic() < until:
            await asyncio.to_thread(self._mail)
            await asyncio.sleep(0.05)

    def _mail(self) -> None:
        with smtplib.SMTP("127.0.0.1", self.smtp, timeout=30) as client:
            for lines in (1, 10, 10_000):
                body = b"Subject: outside\r\n\r\n" + b"text of a line\r\n" * lines
                client.sendmail("a@b.test", ["c@d.test"], body)

    async def misbehave(self, until: float) -> None:
        """Do what no client should: ask and not read, send halves, send what is no HTTP."""
        head = b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
        shapes = (
            b"GET /_mock/events" + head,
            b"GET /_mock/messages" + head,
            (b"GET /livez" + head) * 2_000,
            b"POST /_mock/reset HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nx",
            b"FOO" + head,
            b"GET /" + b"x" * 70_000 + head,
        )
        while time.monotonic() < until:
            held = [await asyncio.open_connection("127.0.0.1", self.port) for _ in shapes]
            for (_, writer), octets in zip(held, shapes, strict=True):
                writer.write(octets)
            await asyncio.sleep(2)
            for _, writer in held:
                writer.transport.abort()

    async def follow(self, until: float) -> None:
        """Follow what happens, and read it."""
        async with httpx2.AsyncClient(timeout=60) as http:
            with suppress(TimeoutError):
                async with (
                    asyncio.timeout(until - time.monotonic()),
                    http.stream("GET", f"{self.url}/_mock/events") as response,
                ):
                    async for _ in response.aiter_bytes():
                        pass

    def report(self, files: tuple[int, int], tasks: tuple[int, int]) -> None:
        """Print the figures, and add what is wrong with them."""
        third = len(self.memory) // 3
        middle, last = (max(self.memory[at : at + third]) for at in (third, 2 * third))
        delays = sorted(self.delays)
        p99 = delays[len(delays) * 99 // 100]
        mib = 1024 * 1024
        for name, unit, *values in (
            ("actions", "", self.actions),
            ("memory", "MiB in the second and the last third", middle / mib, last / mib),
            ("descriptors", "before and after", *files),
            ("tasks", "before and after", *tasks),
            ("probe", "ms, median and p99", statistics.median(delays) * 1_000, p99 * 1_000),
        ):
            print(f"{name:12}", *(f"{value:.0f}" for value in values), unit)
        for wrong, text in (
            (last > middle + max(middle // 10, LEAST_ROOM), "memory grows"),
            (max(self.memory) > MAX_MEMORY, "memory is over 400 MiB"),
            (files[1] > files[0] + 2, "descriptors are left open"),
            (tasks[1] > tasks[0] + 2, "tasks are left"),
            (p99 > MAX_DELAY_S, "the probe waits too long"),
        ):
            if wrong:
                self.faults.append(text)


async def run(seconds: float) -> list[str]:
    """Run everything for some seconds; return what went wrong."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--serve"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    soak = Soak(process, json.loads(await process.stdout.readline()))
    try:
        await soak.probe(time.monotonic() + 1)
        soak.delays.clear()
        before = soak.files(), await soak.tasks()
        until = time.monotonic() + seconds
        jobs: list[Callable[[float], Awaitable[None]]] = [
            soak.probe, soak.send, soak.misbehave, soak.follow, soak.follow,
        ]  # fmt: skip
        await asyncio.gather(
            *(job(until) for job in jobs),
            *(soak.work(f"worker-{number}", until) for number in range(WORKERS)),
        )
        await asyncio.sleep(2)
        after = soak.files(), await soak.tasks()
        soak.report(*zip(before, after, strict=True))
    finally:
        process.terminate()
        await process.wait()
    return soak.faults


def main() -> None:
    """Run for `--seconds`, 10 minutes unless told; status 1 where something is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--serve", action="store_true")
    given = parser.parse_args()
    if given.serve:
        serve()
        return
    faults = asyncio.run(run(given.seconds))
    for fault in dict.fromkeys(faults):
        print(f"wrong: {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
