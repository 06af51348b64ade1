"""Construct and wire the mock; run it on the caller's loop, or in a thread of its own."""

import secrets
import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Final, Self

from starlette.types import ASGIApp

from mockserver.base.certificates import Authority, TrustFile, given_certificates, given_context
from mockserver.base.jsontext import Json
from mockserver.base.loops import Loop, LoopThread
from mockserver.base.problems import Problem
from mockserver.base.sockets import is_loopback, listening
from mockserver.base.version import __version__
from mockserver.contract.editions import Editions, load_editions
from mockserver.control.control import Control
from mockserver.control.guard import PREFIX, Guard
from mockserver.control.impact import Impact
from mockserver.control.inbox import Inbox
from mockserver.control.reference import Reference
from mockserver.control.routing import Router
from mockserver.http import wire
from mockserver.http.connection import LIMITS, Limits
from mockserver.http.listener import HttpListener
from mockserver.http.settings import SettingError, read_base_path, read_host, read_token
from mockserver.journal.assertions import View
from mockserver.journal.coverage import Coverage
from mockserver.journal.state import DEFAULT, State, States
from mockserver.mail.authentication import Tokens
from mockserver.mail.sink import Sink
from mockserver.oauth.idp import IdentityProvider, discovery_url
from mockserver.product.app import Api
from mockserver.product.keyfactor import KeyfactorCommand
from mockserver.product.worlds import check_world, load_world
from mockserver.world.model import Relay, World
from mockserver.world.reading import WorldError

_GRACE_S: Final = 35  # longer than a delivery may take


class _Addressed(View, ABC):
    """A state as clients reach it: that of a mock, or of a namespace, which is below its URLs."""

    @abstractmethod
    def _place(self) -> "tuple[MockServer, str]":
        """Give the mock, and the path below its URLs."""

    @property
    def api_url(self) -> str:
        """Give the base URL to configure a client with."""
        mock, below = self._place()
        return mock.url + below + mock.base_path

    @property
    def https_api_url(self) -> str | None:
        """Give the same for HTTPS, or None if that is off."""
        mock, below = self._place()
        return mock.https_url and mock.https_url + below + mock.base_path

    @property
    def control_url(self) -> str:
        """Give the URL below which the control calls are."""
        mock, below = self._place()
        return mock.url + (below or PREFIX)

    @property
    def token_url(self) -> str:
        """Give the token endpoint of the identity provider."""
        return f"{self.control_url}/idp/token"


class MockServer(_Addressed):
    """Run a mock Keyfactor Command.

    `with` runs it in a thread, for synchronous tests; `async with` on the running loop. `world` is
    a path, or a merge patch (RFC 7396) over the default world, and `edition` goes before the one
    that it names. Port 0 picks a free port, None switches that listener off. `tls_files` are
    certificate and key for HTTPS, in place of one of the mock's own CA; `limits` bound HTTP
    clients. `documents` is a folder of OpenAPI documents in place of the project's own; `command`
    has a method for each of their operations. A `host` to which others can connect takes
    `allow_remote`, and the control calls then ask for `control_token`, which is made if not given.

    Raises WorldError for a bad world, DocumentError for a bad document, an unknown edition or a
    method of no operation, SettingError for a bad base path or host, CertificateError for TLS names
    or files that cannot be used, BindError for a port that is taken; then nothing is left running.

    Once it has stopped, what it kept can still be read, until it is started again: then it is as
    new, but for its CA. RuntimeError for a start of one that runs, and in a forked child, whose
    copy of a mock does not run.
    """

    def __init__(  # noqa: PLR0913  # each is one option of the command line
        self,
        world: str | Path | Mapping[str, Any] | None = None,
        *,
        edition: str | None = None,
        host: str = "127.0.0.1",
        http_port: int | None = 0,
        https_port: int | None = None,
        smtp_port: int | None = None,
        smtps_port: int | None = None,
        base_path: str = "/KeyfactorAPI",
        tls_names: tuple[str, ...] = (),
        tls_files: tuple[str | Path, str | Path] | None = None,
        control_token: str | None = None,
        allow_remote: bool = False,
        limits: Limits = LIMITS,
        documents: Path | None = None,
        command: type[KeyfactorCommand] = KeyfactorCommand,
        openapi: Sequence[str | Path] = (),
    ) -> None:
        self.host = read_host(host)
        remote = not is_loopback(self.host)
        if remote and not allow_remote:
            text = "other machines could connect; allow_remote (--allow-remote) permits it"
            raise SettingError(f"the host {host}: {text}")
        ports = {"http": http_port, "https": https_port, "smtp": smtp_port, "smtps": smtps_port}
        if set(ports.values()) == {None}:
            raise SettingError("every listener is off; one must have a port")
        self._ports = ports
        self.control_token = read_token(control_token) or (
            secrets.token_urlsafe(16) if remote else None
        )
        self.base_path = read_base_path(base_path, PREFIX)
        self.authority = Authority()
        self._idp = IdentityProvider()
        tokens = Tokens(self._idp.check, lambda: discovery_url(self.token_url))
        self._sink = Sink(self.authority, tokens)
        files = tuple(map(str, openapi))
        self._editions = Editions(documents, files) if documents else load_editions(*files)
        self._command = command
        loaded = load_world(world, self._editions, edition)
        coverage = Coverage(self._editions[loaded.edition].contract.operations, loaded)
        states = States(loaded, self._check_patch, coverage)
        super().__init__(states, DEFAULT, self._editions.newest.contract.operations, Loop())
        self._tls_names = tls_names
        self._given = tls_files and given_context(*tls_files)
        self._trust_file = TrustFile(given_certificates(tls_files[0]) if tls_files else b"")
        self._limits = limits
        self._bound: dict[str, int] = {}
        self._ready = False
        self._http: HttpListener | None = None
        self._running = Lock()

    # What a test asks.

    @property
    def url(self) -> str:
        """Return the root URL, without a trailing slash; RuntimeError if it was never started."""
        secure = self.https_url
        return self._url("http", self.host) if self.port("http") else secure or ""

    @property
    def https_url(self) -> str | None:
        """Return that of the HTTPS listener, None if it is off; RuntimeError as for `url`."""
        if not self._bound:
            raise RuntimeError("this mock has no URL before it has started: use `with` first")
        if self.port("https") is None:
            return None
        # Every client trusts localhost, and it leads to each of these; another host keeps its name.
        usual = self.host in {"127.0.0.1", "::1", "localhost", "0.0.0.0", "::"}  # noqa: S104  # to connect to
        return self._url("https", "localhost" if usual else self.host)

    @property
    def ca_file(self) -> Path:
        """Give a PEM file with what a client must trust, for HTTPS and for mail, and with no key.

        It has the CA, and before it the certificates of `tls_files`; it is made when first asked
        for, in a folder that is its owner's alone, and is gone when the mock stops. RuntimeError
        for a mock that does not run.
        """
        return self._loop.call(self._made_ca_file)

    @property
    def ca_pem(self) -> bytes:
        """Give the certificate of the CA that signed all others of this mock, as PEM."""
        return self._loop.call(lambda: self.authority.pem)

    def namespace(self, name: str) -> "Namespace":
        """Give the view of a namespace, which is made when it is first used.

        Problem 400 for a name that is not 1 to 64 of `A-Z a-z 0-9 . _ -`, 429 where there are
        1,000 already.
        """
        self._loop.call(lambda: self._states.get(name))
        return Namespace(self, name)

    def port(self, listener: str) -> int | None:
        """Return the port of `http`, `https`, `smtp` or `smtps`, or None if it is off."""
        return self._bound.get(listener)

    # How it runs.

    async def start(self) -> None:
        """Bind the ports and accept connections; RuntimeError if the mock is running already."""
        http = HttpListener(self._application(), self._states.errors, self._limits)
        if not self._running.acquire(blocking=False):
            raise RuntimeError("this mock runs already; one more is another MockServer")
        self._states.reopen()
        self._sink.open()
        self._bound = {}
        self._http = http
        try:
            for name, wanted in self._ports.items():
                if wanted is not None:
                    await self._listen(name, wanted, http)
            for key, relay in self._states.get().world.relays.items():
                if relay.listen is not None:
                    sock = self._bind(f"smtp {key}", relay.listen)
                    implicit = relay.listen in relay.implicit_ports
                    state = partial(self._state_of, key)
                    await self._sink.listen(sock, state, key, implicit=implicit)
        except BaseException:
            await self.stop()
            raise
        self._ready = True

    async def stop(self) -> None:
        """Stop accepting, finish the requests in progress, and close every socket.

        Clients that are slow to send or to take are cut; a delivery has its own time.
        """
        http, self._http = self._http, None
        if http is None:
            return
        self._ready = False
        try:
            http.close()
            self._sink.dismiss()
            self._states.close()
            await http.drain(_GRACE_S)
            await self._sink.close()
        finally:
            self._trust_file.remove()
            self._running.release()

    def status(self) -> Json:
        """Return the version, whether the mock is ready, and its listeners."""
        listeners = {name: {"host": self.host, "port": port} for name, port in self._bound.items()}
        return {"version": __version__, "ready": self._ready, "listeners": listeners}

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        self._loop.thread = LoopThread(self.start, self.stop)
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop.thread is not None:
            self._loop.thread.stop()
            self._loop.thread = None

    def _place(self) -> "tuple[MockServer, str]":
        return self, ""

    def _url(self, scheme: str, host: str) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # to connect to
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port(scheme)}"

    def _state_of(self, key: str) -> State:
        """Return the state that gets the mail of a relay's own port."""
        usual = self._states.get()
        relay = usual.world.relays.get(key, Relay())
        with suppress(Problem):  # there are too many namespaces already
            return self._states.get(relay.namespace)
        return usual

    def _check_patch(self, world: World, source: str) -> None:
        check_world(world, self._editions, source)
        # Only a start opens ports; one that is open stays so, whatever becomes of its relay.
        late = [
            (f"/relays/{key}/listen", "opens at a start only; put it in the world to start with")
            for key, relay in world.relays.items()
            if self._ready and relay.listen not in {None, self.port(f"smtp {key}")}
        ]
        if late:
            raise WorldError(source, late)

    def _application(self) -> ASGIApp:
        names = frozenset(name.lower() for name in (self.host, *self._tls_names))
        guard = Guard(names, self.control_token)
        command = self._command(self._sink, self.authority, self._idp, lambda: self.token_url)
        check_token = partial(self._idp.check, public=True)
        api = Api(self._editions, command, self._states, check_token, self.base_path)
        impact = Impact(self._editions, api.below)
        control = Control(
            self._states, impact, self.authority, guard=guard, idp=self._idp, status=self.status
        )
        world = self._states.get().world
        contract = self._editions[world.edition].contract
        reference = Reference(contract, world, self.base_path)
        inbox = Inbox(self._states, impact, self.base_path, check=guard.check, answer=api.answer)
        parts = Router(self.base_path, inbox=inbox, control=control, reference=reference, api=api)
        return wire.Net(parts, self._states.errors)

    async def _listen(self, name: str, port: int, http: HttpListener) -> None:
        context = None
        if name == "https":
            context = self._given or self.authority.listener_context(self.host, self._tls_names)
        sock = self._bind(name, port)
        if name.startswith("smtp"):
            await self._sink.listen(sock, self._states.get, implicit=name == "smtps")
        else:
            await http.listen(sock, context)

    def _bind(self, name: str, port: int) -> socket.socket:
        sock = listening(self.host, port, name)
        self._bound[name] = sock.getsockname()[1]
        return sock

    def _made_ca_file(self) -> Path:
        if self._http is None:
            raise RuntimeError("ca_file is there while the mock runs; ca_pem is always")
        return self._trust_file.path(self.authority.pem)


class Namespace(_Addressed):
    """See one namespace of a mock: a state of its own, which its own URLs lead to."""

    def __init__(self, mock: MockServer, name: str) -> None:
        operations = mock._operations  # noqa: SLF001  # a part of it
        super().__init__(mock._states, name, operations, mock._loop)  # noqa: SLF001  # as above
        self.name = name
        self._mock = mock

    @property
    def ca_file(self) -> Path:
        """Give the same file as the mock does."""
        return self._mock.ca_file

    def drop(self) -> None:
        """Forget the namespace and all that is in it."""
        self._loop.call(lambda: self._states.drop(self.name))

    def _place(self) -> tuple[MockServer, str]:
        return self._mock, f"{PREFIX}/ns/{self.name}"
