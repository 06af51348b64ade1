"""The rules that live in Python, each with a way to break it; and mutants that break nothing."""

from typing import Final

# File, a text that stands in it once, what it becomes, and the rule that this breaks.
OF_THE_SERVER: Final[tuple[tuple[str, str, str, str], ...]] = (
    # Who is calling, and what they may do
    (
        "mockserver/access.py",
        "_plural(wanted).startswith(_plural(held))",
        "_plural(wanted) == _plural(held)",
        "a held permission covers those that start with it",
    ),
    (
        "mockserver/access.py",
        "_plural(wanted).startswith(_plural(held))",
        '_plural(wanted).startswith(_plural(held).replace("/read/", "/"))',
        "a permission to read is none to modify",
    ),
    (
        "mockserver/access.py",
        'permission.replace("/system_setting/", "/system_settings/")',
        "permission",
        "the singular and the plural of a permission are the same",
    ),
    (
        "mockserver/access.py",
        "if not covers(identity, wanted)]",
        "if wanted and not identity.permissions]",
        "a permission of another kind is not enough",
    ),
    (
        "mockserver/access.py",
        "if not hmac.compare_digest(expected.encode(), password.encode()) or user is None",
        "if user is None",
        "the password is compared",
    ),
    (
        "mockserver/access.py",
        'raise _unauthorized(f"the Bearer token: {error}", BAD_BEARER) from None',
        'raise _unauthorized(f"the Bearer token: {error}") from None',
        "a bad token gets the challenge of RFC 6750",
    ),
    (
        "mockserver/access.py",
        '{"WWW-Authenticate": challenge}',
        "{}",
        "a 401 has a challenge",
    ),
    (
        "mockserver/access.py",
        "known = _SCHEMES.get(scheme.lower())",
        'known = _SCHEMES.get(scheme.lower() if scheme in {"Basic", "Bearer"} else "")',
        "a scheme has any letter case",
    ),
    (
        "mockserver/access.py",
        "if not identity.permissions:\n        trace",
        "if False:\n        trace",
        "the list of endpoints needs a role",
    ),
    (
        "mockserver/access.py",
        "if identity.permissions:\n        text",
        "if True:\n        text",
        "a caller without a role gets the observed text",
    ),
    # The request path
    (
        "mockserver/app.py",
        """        operation = self._contract.operation(
            path, request.method, headers.get("x-keyfactor-api-version")
        )
""",
        """        if not identity.permissions:
            access.require(identity, ("/",), trace)
        operation = self._contract.operation(
            path, request.method, headers.get("x-keyfactor-api-version")
        )
""",
        "404 and 405 come before 403",
    ),
    (
        "mockserver/app.py",
        """        access.require(identity, operation.required(given), trace)
        octets = await whole_body(request) if early is None else early
        body = _read_body(request, operation, octets, trace)
""",
        """        octets = await whole_body(request) if early is None else early
        body = _read_body(request, operation, octets, trace)
        access.require(identity, operation.required(given), trace)
""",
        "403 comes before 415 and 400",
    ),
    (
        "mockserver/app.py",
        'response.headers["Deprecation"] = DEPRECATED_SINCE',
        "pass",
        "a deprecated operation says so",
    ),
    (
        "mockserver/app.py",
        "        state.journal.add_exchange(exchange)\n",
        "",
        "an exchange is in the journal before the answer leaves",
    ),
    (
        "mockserver/app.py",
        "code = Code.HEADER if headers_only else Code.BODY",
        "code = Code.BODY",
        "a bad header has the code of its own",
    ),
    (
        "mockserver/app.py",
        "before + value.strip()",
        "before + value",
        "white space around a header value does not count",
    ),
    (
        "mockserver/app.py",
        'folded = "/" + "/".join(part for part in path.split("/") if part)',
        "folded = path",
        "repeated slashes are one",
    ),
    (
        "mockserver/app.py",
        ".lower() != self._base_path.lower()",
        " != self._base_path",
        "the base path has any letter case",
    ),
    (
        "mockserver/app.py",
        "early = await whole_body(request) if fault.delay else None",
        "early = None",
        "a delay begins when the body has come",
    ),
    (
        "mockserver/app.py",
        "if left is None or not left.is_set():",
        "if True:",
        "who left before the answer got none",
    ),
    (
        "mockserver/app.py",
        "exchange.problem and cut(exchange.problem.message)",
        "exchange.problem and exchange.problem.message",
        "the reason in a log line is bounded",
    ),
    (
        "mockserver/trace.py",
        "self.problem is not None and self.problem.code != Code.CLIENT_LEFT",
        "self.problem is not None",
        "who left was not refused",
    ),
    (
        "mockserver/app.py",
        "trace.body(masking.body(body))",
        "trace.body(body)",
        "what is recorded of a body is masked",
    ),
    (
        "mockserver/app.py",
        "return tuple(masking.headers(request.headers.items()))",
        "return tuple(request.headers.items())",
        "what is recorded of the headers is masked",
    ),
    # The contract
    (
        "mockserver/contract.py",
        "return _VERSIONS[0]",
        "return _VERSIONS[1]",
        "without the header version 1 answers",
    ),
    (
        "mockserver/contract.py",
        "return value + 0.5 if value.is_integer() else value",
        "return value",
        "587.0 is no integer",
    ),
    (
        "mockserver/contract.py",
        "MAX_VIOLATIONS: Final = 100",
        "MAX_VIOLATIONS: Final = 1_000",
        "no more than 100 violations are listed",
    ),
    (
        "mockserver/contract.py",
        "given = {name: value for name, value in body.items() if value is not None}",
        "given = body",
        "a null is the same as absent",
    ),
    (
        "mockserver/contract.py",
        'set(charsets) <= {"utf-8"}',
        "True",
        "another charset is 415",
    ),
    (
        "mockserver/contract.py",
        'served = "GET" if method == "HEAD" else method',
        "served = method",
        "HEAD is answered as GET is",
    ),
    (
        "mockserver/contract.py",
        "validate_formats=True",
        "validate_formats=False",
        "formats are checked",
    ),
    (
        "mockserver/jsontext.py",
        "if len(entries) < len(pairs):",
        "if False:",
        "a name may not stand twice in an object",
    ),
    (
        "mockserver/jsontext.py",
        "for _ in range(MAX_NESTING + 1):",
        "for _ in range(MAX_NESTING + 2):",
        "the nesting of a body is bounded",
    ),
    (
        "mockserver/wire.py",
        "if size <= MAX_BODY:",
        "if size < MAX_BODY:",
        "a body of exactly 1 MiB is read whole",
    ),
    (
        "mockserver/wire.py",
        "    if size > MAX_BODY:\n",
        "    if size > MAX_DISCARDED:\n",
        "a larger body is 413",
    ),
    (
        "mockserver/wire.py",
        "if problem.status == 401:  # noqa: PLR2004  # an HTTP status",
        "if problem.status == 0:",
        "a 401 has no body",
    ),
    # The product
    (
        "mockserver/command.py",
        'recipient = body.get("TestRecipient") or body["SenderAccount"]',
        'recipient = body.get("TestRecipient") or "nobody@keyexample.com"',
        "without a recipient the mail of version 1 goes to the sender",
    ),
    (
        "mockserver/command.py",
        '    "RelayAuthenticationType",\n    "RelayUsername",\n    "SenderAccount",',
        '    "RelayUsername",\n    "RelayAuthenticationType",\n    "SenderAccount",',
        "version 1 answers its properties in order",
    ),
    (
        "mockserver/command.py",
        '    "RelayUsername",\n    "SenderAccount",',
        '    "RelayUsername",\n    "RelayPassword",\n    "SenderAccount",',
        "version 1 never answers the password",
    ),
    (
        "mockserver/command.py",
        '        "SecretValue": None,\n        "Parameters": None if',
        '        "SecretValue": secret.get("SecretValue"),\n        "Parameters": None if',
        "no profile shows a secret",
    ),
    (
        "mockserver/command.py",
        '"Value": header.get("Value") if shown else None',
        '"Value": header.get("Value")',
        "no profile shows a secret header",
    ),
    (
        "mockserver/command.py",
        '_UNSUPPORTED if "Provider" in username else username.get("SecretValue")',
        'username.get("SecretValue")',
        "version 1 has a word for a user name in a PAM provider",
    ),
    (
        "mockserver/command.py",
        "if all(access.reaches(call.identity, wanted) for wanted in operation.permissions)",
        "if operation.id",
        "only endpoints that the caller reaches are listed",
    ),
    (
        "mockserver/command.py",
        'token_endpoint=body.get("TokenEndpoint") or self._token_url()',
        "token_endpoint=self._token_url()",
        "the token is asked for where the body says",
    ),
    (
        "mockserver/masking.py",
        "return MASK if _SECRET_FIELD.search(key) else item",
        "return item",
        "a secret field is masked",
    ),
    (
        "mockserver/masking.py",
        "if not _is_secret(name):",
        "if True:",
        "a secret header is masked",
    ),
    (
        "mockserver/masking.py",
        "    def __repr__(self) -> str:\n        return MASK",
        "    def __repr__(self) -> str:\n        return self._text",
        "the repr of a secret hides it",
    ),
    # Secrets
    (
        "mockserver/world.py",
        'value.replace("/", "%2F") for value in values',
        "value for value in values",
        "a slash in a PAM parameter divides nothing",
    ),
    (
        "mockserver/pam.py",
        "return [parameters[name] for name in wanted.needed]",
        "return [parameters[name] for name in parameters if name in wanted.needed]",
        "the key of a secret is made in the order of its type",
    ),
    (
        "mockserver/pam.py",
        "parameters.get(name, own) != own",
        "False",
        "a Safe that is not the provider's is refused",
    ),
    (
        "mockserver/pam.py",
        'if provider.fault == "sealed":',
        'if provider.fault == "open":',
        "a sealed provider gives nothing",
    ),
    (
        "mockserver/pam.py",
        'trace.secret(field, number, cast("Json", masking.body(parameters)))',
        "trace.secret(field, number, dict(parameters))",
        "the parameters of a look-up are masked",
    ),
    # Tokens
    (
        "mockserver/idp.py",
        'if audience is not None and claims["aud"] != audience:',
        "if False:",
        "a token for another audience is refused",
    ),
    (
        "mockserver/idp.py",
        'if public and not _OWN_ISSUER.fullmatch(urlsplit(claims["iss"]).path):',
        "if False:",
        "the API takes no token that a test mail got",
    ),
    (
        "mockserver/idp.py",
        '            raise TokenError("it has expired") from None',
        "            pass",
        "an expired token is refused",
    ),
    (
        "mockserver/idp.py",
        "if not hmac.compare_digest(known, secret.encode()) or client is None:",
        "if client is None:",
        "the secret of a client is compared",
    ),
    (
        "mockserver/idp.py",
        'set(asked.split(" ")) <= set(client.scopes)',
        "True",
        "a client gets no scope that it may not have",
    ),
    (
        "mockserver/idp.py",
        "if client.audiences is not None and asked not in client.audiences:",
        "if False:",
        "a client gets no audience that it may not ask for",
    ),
    (
        "mockserver/oauth.py",
        'if str(answer.get("token_type")).lower() != "bearer":',
        "if False:",
        "only a Bearer token is taken",
    ),
    (
        "mockserver/oauth.py",
        "        headers = list(self._grant.request_headers)\n",
        "        headers = list(self._grant.request_headers) if form else []\n",
        "RequestHeaders go with every request to the identity provider",
    ),
    # Mail, the client
    (
        "mockserver/relay.py",
        "IMPLICIT_PORT: Final = 465",
        "IMPLICIT_PORT: Final = 466",
        "UseSSL on port 465 is TLS from the first octet",
    ),
    (
        "mockserver/relay.py",
        "    if not use_ssl:\n        return TlsMode.NONE\n",
        "",
        "without UseSSL there is no TLS",
    ),
    (
        "mockserver/relay.py",
        'if "plain" in self._mechanisms:',
        'if "plain" in self._mechanisms and "login" not in self._mechanisms:',
        "PLAIN goes before LOGIN",
    ),
    (
        "mockserver/relay.py",
        'if "xoauth2" in self._mechanisms:',
        'if "xoauth2" in self._mechanisms and "oauthbearer" not in self._mechanisms:',
        "XOAUTH2 goes before OAUTHBEARER",
    ),
    (
        "mockserver/relay.py",
        "server_hostname=self._submission.host if context else None",
        'server_hostname="localhost" if context else None',
        "a certificate is for the host that the body names",
    ),
    (
        "mockserver/relay.py",
        '.replace("=", "=3D").replace(",", "=2C")',
        "",
        "a comma in a mailbox is escaped for OAUTHBEARER",
    ),
    (
        "mockserver/relay.py",
        'self._need("STARTTLS", "which UseSSL asks for")',
        'self._delivery.stage = "starttls"',
        "a relay without STARTTLS is no reason to go on in the clear",
    ),
    (
        "mockserver/relay.py",
        '    if len(name) > MAX_PHRASE or "=?" in name or not _PRINTABLE.fullmatch(name):',
        "    if len(name) > MAX_PHRASE or not _PRINTABLE.fullmatch(name):",
        "no name is read as an encoded word",
    ),
    (
        "mockserver/certificates.py",
        "        context.load_verify_locations(",
        "        context.check_hostname = False\n        context.load_verify_locations(",
        "the name in a certificate is verified",
    ),
    (
        "mockserver/certificates.py",
        'context.load_verify_locations(cadata=self.pem.decode("ascii"))',
        "context.check_hostname = False\n        context.verify_mode = ssl.CERT_NONE",
        "certificates are verified",
    ),
    # Mail, the server
    (
        "mockserver/sink.py",
        "if self._account is not None and not self._account.may_send_as(sender):",
        "if False:",
        "an account sends only as its own senders",
    ),
    (
        "mockserver/sink.py",
        '"550 5.7.60 Client',
        '"550 5.7.1 Client',
        "the reply to a wrong sender is the one of Exchange",
    ),
    (
        "mockserver/sink.py",
        'self.state.uses(f"relay {self.key} {stage}") > reply.first',
        'self.state.uses(f"relay {self.key} {stage}") >= reply.first',
        "a reply with `first` comes that many times",
    ),
    (
        "mockserver/sink.py",
        'self.state.uses(f"relay {self.key} {stage}")',
        'self.state.uses(f"relay {self.key}")',
        "each stage of a relay counts for itself",
    ),
    (
        "mockserver/sink.py",
        "if self._part.relay.accounts is not None and not (account and same):",
        "if self._part.relay.accounts is not None and not account:",
        "the password of an account is compared",
    ),
    (
        "mockserver/sink.py",
        "good = client is not None and client.may_use(mailbox)",
        "good = client is not None",
        "a client uses only its own mailboxes",
    ),
    (
        "mockserver/sink.py",
        "check_token(token, self._part.relay.audience)",
        "check_token(token, None)",
        "a token is for the audience of the relay",
    ),
    (
        "mockserver/sink.py",
        "if self._needs_tls:\n            raise",
        "if False:\n            raise",
        "a relay that requires TLS takes no login before it",
    ),
    (
        "mockserver/sink.py",
        "if relay.require_auth and not self.session.authenticated:",
        "if False:",
        "a relay that requires a login takes no mail before it",
    ),
    (
        "mockserver/sink.py",
        'parts = (await self._sasl(initial, b"")).split(b"\\0")',
        'parts = (await self._sasl(initial, b"")).split(b" ")',
        "NUL divides the parts of PLAIN",
    ),
    (
        "mockserver/sink.py",
        '.replace("=2C", ",").replace("=3D", "=")',
        '.replace("=3D", "=").replace("=2C", ",")',
        "the escapes of OAUTHBEARER are undone in order",
    ),
    (
        "mockserver/sink.py",
        "            self._mechanism = self._username = self._account = None\n",
        "",
        "STARTTLS makes the sink forget a login",
    ),
    (
        "mockserver/sink.py",
        "        buffer.clear()\n",
        "",
        "what came before the handshake is not read after it",
    ),
    (
        "mockserver/sink.py",
        "elif size > self._part.relay.max_size:",
        "elif size >= self._part.relay.max_size:",
        "a mail may be as large as the relay says",
    ),
    (
        "mockserver/sink.py",
        'text = (line or b"").removeprefix(b".")',
        'text = (line or b"")',
        "a dot that the client doubled is one dot",
    ),
    (
        "mockserver/sink.py",
        "return MASK  # a client that lost count may send its password as a command",
        'return (line or b"").decode("utf-8", "replace")',
        "an unknown command is not recorded",
    ),
    # Memory
    (
        "mockserver/journal.py",
        "MAX_ENTRIES: Final = 1_000",
        "MAX_ENTRIES: Final = 1_001",
        "the journal keeps 1,000 entries of a kind",
    ),
    (
        "mockserver/journal.py",
        "        while self.size > self._max_bytes:\n            self.drop_oldest()\n",
        "",
        "the bytes of a journal are bounded",
    ),
    (
        "mockserver/journal.py",
        "        self._pool.trim()\n",
        "",
        "the bytes of all journals are bounded",
    ),
    (
        "mockserver/journal.py",
        "        self.dropped += 1\n",
        "",
        "what was dropped is counted",
    ),
    (
        "mockserver/journal.py",
        'wanted in found if name == "subject" else wanted == found',
        "wanted in found",
        "only the subject is compared in part",
    ),
    (
        "mockserver/state.py",
        "        old.close()\n",
        "",
        "a reset ends every wait",
    ),
    (
        "mockserver/world.py",
        "        if value is None:\n            merged.pop(key, None)\n",
        "        if value is None and key not in merged:\n            pass\n",
        "a null in a patch takes the key away",
    ),
    (
        "mockserver/world.py",
        '(f"{name}:{port}", name), name)',
        '(name, f"{name}:{port}"), name)',
        "the most specific key of a relay wins",
    ),
    (
        "mockserver/world.py",
        '    if rule.get("writeOnly"):\n        return MASK\n',
        "",
        "a world is shown without its secrets",
    ),
    # Control
    (
        "mockserver/control.py",
        'if not self._answers_to(urlsplit(f"//{host}").hostname or ""):',
        "if False:",
        "a page cannot reach the mock by a name of its own",
    ),
    (
        "mockserver/control.py",
        "if origin is not None and urlsplit(origin).netloc != host:",
        "if False:",
        "a page of another origin is refused",
    ),
    (
        "mockserver/control.py",
        "if not hmac.compare_digest(given.encode(), self.token.encode()):",
        "if False:",
        "the control calls ask for their token",
    ),
    (
        "mockserver/control.py",
        "if not 0 <= seconds <= MAX_WAIT_S:",
        "if not 0 <= seconds:",
        "a wait is bounded",
    ),
    # Lists
    (
        "mockserver/listing.py",
        'reverse=parameters["SortAscending"] == 1',
        'reverse=parameters["SortAscending"] == 0',
        "SortAscending is 0 for ascending",
    ),
    (
        "mockserver/listing.py",
        'first = (parameters["PageReturned"] - 1) * parameters["ReturnLimit"]',
        'first = parameters["PageReturned"] * parameters["ReturnLimit"]',
        "pages count from 1",
    ),
    (
        "mockserver/listing.py",
        'if key != "*"]',
        "if key]",
        "the provider for any id is not listed",
    ),
    # Bodies that are not strict
    (
        "mockserver/coercion.py",
        "name = names.get(given.casefold())",
        "name = given if given in known else None",
        "a lenient world takes names in any letter case",
    ),
    (
        "mockserver/coercion.py",
        "name: values if len(values) > 1 else",
        "name:",
        "a form field that stands twice is refused",
    ),
    # Faults, namespaces, events, limits
    (
        "mockserver/faults.py",
        "if header is not None:",
        "if header is not None and world.api_fault(operation) is None:",
        "the header beats the world's entry",
    ),
    (
        "mockserver/faults.py",
        'state.uses(f"api {key}") > fault.first',
        'state.uses(f"api {key}") >= fault.first',
        "so many calls misbehave, and no fewer",
    ),
    (
        "mockserver/world.py",
        'self.api_faults.get(operation, self.api_faults.get("*"))',
        'self.api_faults.get("*", self.api_faults.get(operation))',
        "a fault of one operation goes before that of any",
    ),
    (
        "mockserver/state.py",
        "if len(self._states) > MAX_NAMESPACES:",
        "if len(self._states) > MAX_NAMESPACES + 1:",
        "there are at most 1,000 namespaces",
    ),
    (
        "mockserver/state.py",
        "if not _NAME.fullmatch(name):",
        "if not _NAME.match(name):",
        "a namespace has a name of few letters",
    ),
    (
        "mockserver/state.py",
        "self._states[name] = self._new(old.journal.feed)",
        "self._states[name] = self._new(Feed())",
        "a follower sees what comes after a reset",
    ),
    (
        "mockserver/server.py",
        "        wire.NAMESPACE: name,\n",
        "",
        "the URL names the namespace",
    ),
    (
        "mockserver/wire.py",
        'named or request.headers.get("x-mock-namespace", "").strip()',
        "named",
        "the header names the namespace",
    ),
    (
        "mockserver/journal.py",
        'self.feed.publish(("request", exchange))',
        "pass",
        "a call is an event",
    ),
    (
        "mockserver/listener.py",
        "if self._octets > self._limits.head:",
        "if False:",
        "a header block that does not end is refused",
    ),
    (
        "mockserver/listener.py",
        "self._full = len(self.connections) > self._limits.connections",
        "self._full = False",
        "connections are bounded",
    ),
    (
        "mockserver/listener.py",
        'elif self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":',
        "elif False:",
        "an offer of another protocol is ignored",
    ),
    (
        "mockserver/listener.py",
        "self.headers[:], self._offered = self._offered, None",
        "self._offered = None",
        "an offer is in the journal as it came",
    ),
    (
        "mockserver/listener.py",
        "if not self._deaf:\n            self._left.set()",
        "if False:\n            pass",
        "who resets the connection has left",
    ),
    (
        "mockserver/listener.py",
        "if not self.pipeline:\n            # Or nobody",
        "if False:\n            # Or nobody",
        "who leaves behind a large body is noticed",
    ),
    (
        "mockserver/listener.py",
        "self.cycle.keep_alive = False\n        return True",
        "return False",
        "who closes one half of a connection is answered",
    ),
    (
        "mockserver/listener.py",
        "            _end(self._running)\n",
        "            pass\n",
        "nothing is written to who left before several answers",
    ),
    (
        "mockserver/listener.py",
        'response.headers["Content-Length"] = str(len(response.body) or 2)',
        "pass",
        "an empty answer that breaks off is noticed",
    ),
    (
        "mockserver/listener.py",
        "if self._more >= 0:",
        "if True:",
        "clients cannot fill the log",
    ),
    # What tests assert with
    (
        "mockserver/view.py",
        "if len(found) != count:",
        "if len(found) < count:",
        "one message too many is a failure",
    ),
    (
        "mockserver/view.py",
        "and self._rule in (None, rule)",
        "",
        "field and rule are of one violation",
    ),
    (
        "mockserver/view.py",
        "and exchange.id not in self._expected",
        "",
        "a refusal that was asked for is expected",
    ),
    (
        "mockserver/trace.py",
        "return None if self.body_text is None else json.loads(self.body_text)",
        "return self.body_text",
        "a body is read as JSON",
    ),
)

# A mutant that no test can kill, because it changes nothing that a client sees, and why.
EQUIVALENT: Final[dict[str, str]] = {
    "v1+v2 /components/schemas/SMTPTestRequest/properties/TestRecipient: minLength 1 tightened": (
        "the pattern takes no address of one character"
    ),
}
