"""The rules that live in Python, each with a way to break it; and mutants that break nothing."""

from typing import Final

# A text that stands once in the package, what it becomes, and the rule that this breaks.
OF_THE_SERVER: Final[tuple[tuple[str, str, str], ...]] = (
    # Who is calling, and what they may do
    (
        "_normal(wanted).startswith(_normal(each))",
        "_normal(wanted) == _normal(each)",
        "a held permission covers those that start with it",
    ),
    (
        "_normal(wanted).startswith(_normal(each))",
        '_normal(wanted).startswith(_normal(each).replace("/read/", "/"))',
        "a permission to read is none to modify",
    ),
    (
        'permission.replace("/system_setting/", "/system_settings/")',
        "permission",
        "the singular and the plural of a permission are the same",
    ),
    (
        "all(_covers(self.permissions, each) for each in wanted)",
        "bool(self.permissions)",
        "a permission of another kind is not enough",
    ),
    (
        "if not expected.is_one_of(wire.readings(password)) or user is None",
        "if user is None",
        "the password is compared",
    ),
    (
        'if world.api_audiences and claims["aud"] not in world.api_audiences:',
        "if False:",
        "the world names the audiences of a token",
    ),
    (
        'raise _unauthorized(f"the Bearer token: {error}", _BAD_BEARER) from None',
        'raise _unauthorized(f"the Bearer token: {error}") from None',
        "a bad token gets the challenge of RFC 6750",
    ),
    (
        '{"WWW-Authenticate": challenge}',
        "{}",
        "a 401 has a challenge",
    ),
    (
        "return scheme.lower(), credentials.strip()",
        'return scheme.lower() if scheme in {"Basic", "Bearer"} else "", credentials.strip()',
        "a scheme has any letter case",
    ),
    (
        "if not identity.permissions:\n        trace",
        "if False:\n        trace",
        "the list of endpoints needs a role",
    ),
    (
        "if identity.permissions:\n        text",
        "if True:\n        text",
        "a caller without a role gets the observed text",
    ),
    # The request path
    (
        "        operation = contract.operation(",
        """        if not identity.permissions:
            access.require(identity, ("/",), trace)
        operation = contract.operation(""",
        "404 and 405 come before 403",
    ),
    (
        """        try:
            access.require(found.identity, operation.required(given), trace)
""",
        """        early = await whole_body(request) if early is None else early
        sent = Sent(found.path, tuple(query), operation.headers(found.headers), early)
        self._judge.judge(operation, sent, lenient=found.world.lenient)
        try:
            access.require(found.identity, operation.required(given), trace)
""",
        "403 comes before 415 and 400",
    ),
    (
        "if trace.deprecated and world.deprecation_header:",
        "if trace.deprecated:",
        "a deprecated operation says so only where the world does",
    ),
    (
        'chunked = request.scope["http_version"] != "1.0"',
        "chunked = False",
        "errors come in chunks",
    ),
    (
        'chunked = request.scope["http_version"] != "1.0"',
        "chunked = True",
        "HTTP/1.0 knows no chunks",
    ),
    (
        'given.get("*", edition.versions[tag])',
        "edition.versions[tag]",
        "the world may say for every tag which versions are supported",
    ),
    (
        "        state.journal.add_exchange(exchange)\n",
        "",
        "an exchange is in the journal before the answer leaves",
    ),
    (
        "return Kind.HEADER_VALUE if beside else Kind.BODY",
        "return Kind.BODY",
        "a bad header has the code of its own",
    ),
    (
        'if any(each.rule == "type" for each in violations):',
        "if False:",
        "what cannot be bound has a code of its own, and goes first",
    ),
    (
        "combined[name] = value.strip()",
        "combined[name] = value",
        "white space around a header value does not count",
    ),
    (
        'folded = "/" + "/".join([part for part in path.split("/") if part])',
        "folded = path",
        "repeated slashes are one",
    ),
    (
        "base.lower() == self._base_path.lower()",
        "base == self._base_path",
        "the base path has any letter case",
    ),
    (
        "if folded.lower() == self._base_path.lower():",
        "if False:",
        "nothing says that the base path is below itself",
    ),
    (
        "trace.version = contract.version(headers.get(VERSION_HEADER))",
        "pass",
        "a refused call has a version",
    ),
    (
        "early = await whole_body(request) if fault.delay else None",
        "early = None",
        "a delay begins when the body has come",
    ),
    (
        "if left is None or not left.is_set():",
        "if True:",
        "who left before the answer got none",
    ),
    (
        "exchange.problem and one_line(exchange.problem.message)",
        "exchange.problem and exchange.problem.message",
        "the reason in a log line is bounded",
    ),
    (
        "self.problem is not None and self.problem.kind is not Kind.CLIENT_LEFT",
        "self.problem is not None",
        "who left was not refused",
    ),
    (
        "body = masking.body(operation.read(media, octets), operation.field_names)",
        "body = operation.read(media, octets)",
        "what is recorded of a body is masked",
    ),
    (
        "tuple(masking.headers(pairs))",
        "tuple(pairs)",
        "what is recorded of the headers is masked",
    ),
    # The contract
    (
        "return next(iter(self.documents)) if value is None",
        "return [*self.documents][-1] if value is None",
        "without the header version 1 answers",
    ),
    (
        'lowered(near) == lowered(name) and near in cast("Json", broken.error.instance)',
        "lowered(near) == lowered(name)",
        "what is given once is not told to be given twice",
    ),
    (
        "_MAX_VIOLATIONS: Final = 100",
        "_MAX_VIOLATIONS: Final = 101",
        "no more than 100 violations are listed",
    ),
    (
        "given = {name: value for name, value in body.items() if value is not None}",
        "given = body",
        "a null is the same as absent",
    ),
    (
        'charsets <= {"utf-8"}',
        "True",
        "another charset is 415",
    ),
    (
        'served = "GET" if method == "HEAD" else method',
        "served = method",
        "HEAD is answered as GET is",
    ),
    (
        "validate_formats=True, offline=True",
        "validate_formats=False, offline=True",
        "formats are checked",
    ),
    (
        "if known is None or broken.order < known.order:",
        "if known is None:",
        "what makes another sentence untrue is told first",
    ),
    (
        "return rank, len(self.types), len(self.error.schema_path)",
        "return rank, 0, len(self.error.schema_path)",
        "the narrower of two types is told",
    ),
    (
        "if refused.isdisjoint(rules):",
        "if True:",
        "a version is named only where it takes the value",
    ),
    (
        "if VERSION_HEADER not in headers and self._taken",
        "if self._taken",
        "a version that the caller chose is not explained",
    ),
    (
        "cutoff = 0 if related else _NEAR",
        "cutoff = 0",
        "a path that is not near is not named",
    ),
    (
        "if len(entries) < len(pairs):",
        "if False:",
        "a name may not stand twice in an object",
    ),
    (
        "for _ in range(_MAX_NESTING + 1):",
        "for _ in range(_MAX_NESTING + 2):",
        "the nesting of a body is bounded",
    ),
    (
        "if size <= _MAX_BODY:",
        "if size < _MAX_BODY:",
        "a body of exactly 1 MiB is read whole",
    ),
    (
        "    if size > _MAX_BODY:\n",
        "    if size > MAX_DISCARDED:\n",
        "a larger body is 413",
    ),
    (
        "if not unknown:",
        "if True:",
        "a body with a content coding is 415",
    ),
    (
        'not in {"", "identity"}',
        'not in {""}',
        "identity is no coding",
    ),
    (
        "if status == 401:  # noqa: PLR2004  # an HTTP status",
        "if status == 0:",
        "a 401 has no body",
    ),
    # The product
    (
        'recipient = body.get("TestRecipient") or body["SenderAccount"]',
        'recipient = body.get("TestRecipient") or "nobody@keyexample.com"',
        "without a recipient the mail of version 1 goes to the sender",
    ),
    (
        "{name: values.get(name) for name in members}",
        "{name: values.get(name) for name in reversed(members)}",
        "an answer has the order of its schema",
    ),
    (
        '        "SecretValue": None,\n        "Parameters": None if',
        '        "SecretValue": secret.get("SecretValue"),\n        "Parameters": None if',
        "no profile shows a secret",
    ),
    (
        "if value and masking.is_secret(name):",
        "if False:",
        "no profile shows a secret header",
    ),
    (
        '_UNSUPPORTED if _is_reference(username) else username.get("SecretValue")',
        'username.get("SecretValue")',
        "version 1 has a word for a user name in a PAM provider",
    ),
    (
        "if all(access.reaches(call.identity, wanted) for wanted in operation.permissions)",
        "if operation.id",
        "only endpoints that the caller reaches are listed",
    ),
    (
        'token_endpoint=_given(body, "TokenEndpoint") or self._token_url()',
        "token_endpoint=self._token_url()",
        "the token is asked for where the body says",
    ),
    (
        "if self._is_secret(key):",
        "if False:",
        "a secret field is masked",
    ),
    (
        "if not is_secret(name):",
        "if True:",
        "a secret header is masked",
    ),
    (
        'vars(self).setdefault("_trusted", _Issued(key, begin + rest))',
        'vars(self)["_trusted"] = _Issued(key, begin + rest)',
        "an authority that was asked for stays",
    ),
    (
        "if rest and process.returncode == 0:",
        "if True:",
        "an authority that another process did not make is made here",
    ),
    (
        "if ready_file is not None or mock.https_url is not None:",
        "if True:",
        "a CA is made where somebody is told of it",
    ),
    (
        "if not client.sent:",
        "if True:",
        "after the 250 nothing can fail",
    ),
    (
        "limit.reschedule(asyncio.get_running_loop().time() + _QUIT_SECONDS)",
        "str(limit)",
        "a relay that does not say goodbye is not waited for",
    ),
    (
        "return tuple(map(once, column))",
        "return tuple(column)",
        "what is said in each call is kept once",
    ),
    (
        "return bool(self._text)\n\n    def __repr__(self) -> str:\n        return MASK",
        "return bool(self._text)\n\n    def __repr__(self) -> str:\n        return self._text",
        "the repr of a secret hides it",
    ),
    (
        "return str, (self.text,)",
        "return str, (self._octets.decode(),)",
        "a copy of what is sealed has only the masked text",
    ),
    # What is remembered, and written
    (
        "if mark == self._mark and check == _hash(octets):",
        "if check == _hash(octets):",
        "what is kept of another content is not read",
    ),
    (
        "mark == self._mark and check == _hash(octets):",
        "mark == self._mark:",
        "what is damaged is not read",
    ),
    (
        "known.setdefault(json.dumps(value), value)",
        "known.setdefault(str(value), value)",
        "what is kept is the same value",
    ),
    (
        "_hash(_code() + self._content)",
        "_hash(self._content)",
        "what is kept by another parser is not read",
    ),
    (
        "Kept(path, content) if is_ours(path) else None",
        "Kept(path, content)",
        "nothing is kept of a file of a user",
    ),
    (
        "read = read_ours if path in map(_named, NAMED) else read_yaml",
        "read = read_ours",
        "nothing is kept of a world of a user beside ours",
    ),
    (
        "if sys.dont_write_bytecode or sys.pycache_prefix:",
        "if False:",
        "nothing is kept where Python keeps nothing",
    ),
    (
        "read_ours(path, WorldError, valid)",
        "read_ours(path, WorldError)",
        "a mistake in the default world is told at the start",
    ),
    (
        "_template.cache_clear()",
        "str()",
        "of long lines for the log at most one is remembered",
    ),
    (
        "is_secret.cache_clear()",
        "str()",
        "of long names at most one is remembered",
    ),
    (
        "_normal.cache_clear()",
        "str()",
        "of long permissions at most one is remembered",
    ),
    (
        ' and len("".join(wanted)) <= _LONGEST',
        "",
        "no decision on a long permission is remembered",
    ),
    (
        "_is_json.cache_clear()",
        "str()",
        "of long media types at most one is remembered",
    ),
    (
        "_violation.cache_clear()",
        "str()",
        "of violations deep in a body at most one is remembered",
    ),
    (
        "self._known_operation if len(path) <= _LONGEST else self._operation",
        "self._known_operation",
        "no operation of a long path is remembered",
    ),
    (
        "self._part if len(path) <= _LONGEST else self._found",
        "self._part",
        "no part for a long path is remembered",
    ),
    (
        "if due is not None and due.is_running():",
        "if due is not None:",
        "lines of a loop that is gone come with the next one",
    ),
    (
        " - 2 * lines",
        " - 2 * (lines + 1)",
        "an answer that is there as a whole is written in one piece",
    ),
    (
        ' or b"\\r\\nconnection:" in head',
        "",
        "an answer that ends the connection does so",
    ),
    (
        'or cycle.scope["method"] == "HEAD"',
        "",
        "an answer to HEAD has no body, in one piece either",
    ),
    (
        "response.status_code in _WITHOUT_BODY or ",
        "",
        "an answer of status 204 has neither body nor chunks, in one piece either",
    ),
    (
        "if in_turn or (self._part == _BODY and not self.pipeline):",
        "if in_turn or self._part == _BODY:",
        "a bad body leaves the answers before it",
    ),
    (
        "sent = Sent(found.path, tuple(query), operation.headers(found.headers), octets)",
        "sent = Sent(found.path, (), operation.headers(found.headers), octets)",
        "a query is judged with its body",
    ),
    (
        '{"content-type", VERSION_HEADER, *own}',
        '{"content-type", VERSION_HEADER}',
        "a body that comes again is judged by the headers that it comes with",
    ),
    (
        "judge = self._recurring if sum(map(len, texts)) <= _LARGEST else _judged",
        "judge = self._recurring",
        "of what is judged again at most so much is remembered",
    ),
    (
        "_read_headers.cache_clear()",
        "str()",
        "of long headers at most one is remembered",
    ),
    (
        "parts = len(headers) + len(call.violations) + _STEPS",
        "parts = len(headers)",
        "each violation and step of a call counts",
    ),
    # Secrets
    (
        'value.replace("/", "%2F") for value in values',
        "value for value in values",
        "a slash in a PAM parameter divides nothing",
    ),
    (
        "return [parameters[name] for name in wanted.needed]",
        "return [parameters[name] for name in parameters if name in wanted.needed]",
        "the key of a secret is made in the order of its type",
    ),
    (
        "parameters.get(name, own) != own",
        "False",
        "a Safe that is not the provider's is refused",
    ),
    (
        'if provider.fault == "sealed":',
        'if provider.fault == "open":',
        "a sealed provider gives nothing",
    ),
    (
        'trace.secret(field, number, cast("Json", masking.body(parameters)))',
        "trace.secret(field, number, dict(parameters))",
        "the parameters of a look-up are masked",
    ),
    # Tokens
    (
        'if audience is not None and claims["aud"] != audience:',
        "if False:",
        "a token for another audience is refused",
    ),
    (
        'if public and not _OWN_ISSUER.fullmatch(urlsplit(claims["iss"]).path):',
        "if False:",
        "the API takes no token that a test mail got",
    ),
    (
        '            raise ValueError("it has expired") from None',
        "            pass",
        "an expired token is refused",
    ),
    (
        "if expected.is_one_of(secrets) and client is not None:",
        "if client is not None:",
        "the secret of a client is compared",
    ),
    (
        "[name for name in names if name in world.oauth_clients] or names[:1]",
        "names",
        "the entry for any client does not stand for one that the world names",
    ),
    (
        "for form in forms for text in wire.readings(form)]",
        "for form in forms[:1] for text in wire.readings(form)]",
        "a client may send its secret as it is",
    ),
    (
        'if refusal.status == 401 and "authorization" in request.headers:',
        "if refusal.status == 401:",
        "a client that sent no header gets no challenge",
    ),
    (
        '    texts = [octets.decode("latin-1")]\n',
        "    texts: list[str] = []\n",
        "credentials may be Latin-1",
    ),
    (
        '(normal, normal.partition("?")[0], name)',
        "(normal, name)",
        "a token endpoint without a query stands for every query",
    ),
    (
        '{"path": found[2] + found[1]}',
        "{}",
        "metadata stand before the path of the issuer too",
    ),
    (
        'set(asked.split(" ")) <= set(client.scopes)',
        "True",
        "a client gets no scope that it may not have",
    ),
    (
        "if client.audiences is not None and asked not in client.audiences:",
        "if False:",
        "a client gets no audience that it may not ask for",
    ),
    (
        'if str(answer.get("token_type")).lower() != "bearer":',
        "if False:",
        "only a Bearer token is taken",
    ),
    (
        "        given = self._grant.request_headers\n",
        "        given = self._grant.request_headers if form else ()\n",
        "RequestHeaders go with every request to the identity provider",
    ),
    # Certificates
    ("    if not is_signed:", "    if False:", "a certificate is issued for who has the key"),
    (
        '{"CN": range(1, 65), "C": range(2, 3)}',
        "{}",
        "a CN and a C have the length that RFC 5280 allows",
    ),
    ("if isinstance(name.value, IPv4Network | IPv6Network):", "if False:", "a network is no name"),
    (
        '_VISIBLE: Final = re.compile("[!-~]+")',
        '_VISIBLE: Final = re.compile("(?s).*")',
        "a name is visible ASCII",
    ),
    (
        "(self.kind, self._detail) in keys for",
        "self.kind in dict(keys) for",
        "a template lists the keys that it takes",
    ),
    ("self.usage & _OF_LEAF or _USUAL", "self.usage or _USUAL", "no certificate may sign others"),
    ("max(each.since, _FIRST)", "each.since", "a revocation list has no date that it cannot have"),
    (
        'row.get("CertState") == REVOKED and row.get("AuthorityName") == name',
        'row.get("CertState") == REVOKED',
        "each authority lists what is its own",
    ),
    (
        "MASK if _PRIVATE_KEY in item else url(item)",
        "url(item)",
        "a private key is masked wherever it stands",
    ),
    (
        'old.get("TemplateDefault") if old else not _siblings(row, world)',
        "not old and not _siblings(row, world)",
        "the default pattern of a template stays the default",
    ),
    ('if row.get("TemplatePolicy") is None:', "if False:", "a template has policies"),
    (
        'if (pattern or {}).get("RestrictCAs") and found not in _authorities(world, pattern):',
        "if False:",
        "a pattern may restrict the authorities",
    ),
    (
        'if body["Reason"] in _RELEASES and rows[number].get("RevocationReason") != _ON_HOLD:',
        "if False:",
        "only a certificate on hold is released",
    ),
    (
        'if row.get("CertState") == objects.REVOKED and not parameters["IncludeRevoked"]:',
        "if False:",
        "revoked certificates are listed for who asks for them",
    ),
    # Mail, the client
    (
        "_IMPLICIT_PORT: Final = 465",
        "_IMPLICIT_PORT: Final = 466",
        "UseSSL on port 465 is TLS from the first octet",
    ),
    (
        "    if not use_ssl:\n        return TlsMode.NONE\n",
        "",
        "without UseSSL there is no TLS",
    ),
    (
        "name = next((name for name in names if name.lower()",
        "name = next((name for name in names[::-1] if name.lower()",
        "PLAIN goes before LOGIN, and XOAUTH2 before OAUTHBEARER",
    ),
    (
        "server_hostname=self._submission.host if context else None",
        'server_hostname="localhost" if context else None',
        "a certificate is for the host that the body names",
    ),
    (
        "if len(lines[-1]) + len(word) <= _MAX_LINE:",
        "if True:",
        "a long name is folded",
    ),
    (
        '.replace("=", "=3D").replace(",", "=2C")',
        "",
        "a comma in a mailbox is escaped for OAUTHBEARER",
    ),
    (
        'self._need("STARTTLS", "which UseSSL asks for")',
        'self._delivery.stage = "starttls"',
        "a relay without STARTTLS is no reason to go on in the clear",
    ),
    (
        '    if len(name) > _MAX_PHRASE or "=?" in name or not _PRINTABLE.fullmatch(name):',
        "    if len(name) > _MAX_PHRASE or not _PRINTABLE.fullmatch(name):",
        "no name is read as an encoded word",
    ),
    (
        "        context.load_verify_locations(",
        "        context.check_hostname = False\n        context.load_verify_locations(",
        "the name in a certificate is verified",
    ),
    (
        'context.load_verify_locations(cadata=self.pem.decode("ascii"))',
        "context.check_hostname = False\n        context.verify_mode = ssl.CERT_NONE",
        "certificates are verified",
    ),
    # Mail, the server
    (
        "if login.account and not login.account.may_send_as(sender):",
        "if False:",
        "an account sends only as its own senders",
    ),
    (
        '"550 5.7.60 Client',
        '"550 5.7.1 Client',
        "the reply to a wrong sender is the one of Exchange",
    ),
    (
        "self.state.count_use(use) <= reply.first",
        "self.state.count_use(use) < reply.first",
        "a reply with `first` comes that many times",
    ),
    (
        'use = f"relay {self.key} {stage} {number}"',
        'use = f"relay {self.key} {number}"',
        "each stage of a relay counts for itself",
    ),
    (
        "if self.part.relay.accounts is not None and not (account and same):",
        "if self.part.relay.accounts is not None and not account:",
        "the password of an account is compared",
    ),
    (
        "good = client is not None and client.may_use(mailbox)",
        "good = client is not None",
        "a client uses only its own mailboxes",
    ),
    (
        "tokens.check(token, self.part.relay.audience)",
        "tokens.check(token, None)",
        "a token is for the audience of the relay",
    ),
    (
        "if self._needs_tls:\n            raise",
        "if False:\n            raise",
        "a relay that requires TLS takes no login before it",
    ),
    (
        "if relay.require_auth and login.mechanism is None:",
        "if False:",
        "a relay that requires a login takes no mail before it",
    ),
    (
        'rb"[^\\0]*\\0([^\\0]*)\\0([^\\0]*)"',
        'rb"[^ ]* ([^ ]*) ([^ ]*)"',
        "NUL divides the parts of PLAIN",
    ),
    (
        '.replace(b"=2C", b",").replace(b"=3D", b"=")',
        '.replace(b"=3D", b"=").replace(b"=2C", b",")',
        "the escapes of OAUTHBEARER are undone in order",
    ),
    (
        "start_tls(self._tls_context())\n        self._peer = _Peer()\n",
        "start_tls(self._tls_context())\n",
        "STARTTLS makes the sink forget a login",
    ),
    (
        "        self._buffer.clear()\n",
        "",
        "what came before the handshake is not read after it",
    ),
    (
        "elif self.size > self._relay.max_size:",
        "elif self.size >= self._relay.max_size:",
        "a mail may be as large as the relay says",
    ),
    (
        'if not content.count(b"\\r") == content.count(b"\\n") == pairs:',
        "if False:",
        "a CR or LF that stands alone is refused",
    ),
    (
        "if keyword not in offered:",
        "if not keyword:",
        "a parameter goes with what EHLO offers",
    ),
    (
        "if name in parameters or not form.fullmatch(value):",
        "if not form.fullmatch(value):",
        "a parameter stands once",
    ),
    (
        "                self._heard = self.loop.time()\n",
        "",
        "the idle time begins anew with every line",
    ),
    (
        "        self._of_others.update(range(self._mail_began or 0, said))\n",
        "",
        "a message has its own part of the dialogue",
    ),
    (
        "if needed or refused.code not in {500, 502}:",
        "if refused.code not in {500, 502}:",
        "no login and no TLS is given up for HELO",
    ),
    (
        'if len(lines) > MAX_LINE or b"\\r\\n." in lines:',
        "if len(lines) > MAX_LINE:",
        "the dot of each line is taken off, of few lines too",
    ),
    (
        'if len(lines) > MAX_LINE or b"\\r\\n." in lines:',
        'if b"\\r\\n." in lines:',
        "lines that come together are not one long line",
    ),
    (
        'text.removeprefix(b".") if self._begins else text',
        "text",
        "a dot that the client doubled is one dot",
    ),
    (
        "return MASK  # a client that lost count may send its password as a command",
        'return (line or b"").decode("utf-8", "replace")',
        "an unknown command is not recorded",
    ),
    # Memory
    (
        "MAX_ENTRIES: Final = 1_000",
        "MAX_ENTRIES: Final = 1_001",
        "the journal keeps 1,000 entries of a kind",
    ),
    (
        "        while self.size > self._max_bytes:\n            self.drop_oldest()\n",
        "",
        "the bytes of a journal are bounded",
    ),
    (
        "        self._pool.trim()\n",
        "",
        "the bytes of all journals are bounded",
    ),
    (
        "        self.dropped += 1\n",
        "",
        "what was dropped is counted",
    ),
    (
        "        if self.in_part:\n",
        "        if True:\n",
        "only the subject is compared in part",
    ),
    (
        "each in form if each else not form",
        "each in form",
        "an empty subject is a mail without one",
    ),
    (
        "if (folded := _folded(text)) not in forms:",
        "if not (folded := _folded(text)):",
        "a value that nothing has is refused",
    ),
    (
        "        domain = host_name(domain) if at else domain\n",
        "        pass\n",
        "domains are compared as A-labels",
    ),
    (
        "        old.close()\n",
        "",
        "a reset ends every wait",
    ),
    (
        "        if value is None:\n            merged.pop(key, None)\n",
        "        if value is None and key not in merged:\n            pass\n",
        "a null in a patch takes the key away",
    ),
    (
        '(f"{name}:{port}", name), name)',
        '(name, f"{name}:{port}"), name)',
        "the most specific key of a relay wins",
    ),
    (
        '    if rule.value.get("writeOnly"):\n        return MASK\n',
        "",
        "a world is shown without its secrets",
    ),
    # Control
    (
        "if not self._answers_to(_name(host)):",
        "if False:",
        "a page cannot reach the mock by a name of its own",
    ),
    (
        "if place != host:",
        "if False:",
        "a page of another origin is refused",
    ),
    (
        'return method == "GET" and how ==',
        "return how ==",
        "a link of another site only reads",
    ),
    (
        'how == ("navigate", "document")',
        'how[0] == "navigate"',
        "no frame of another site shows the mock",
    ),
    (
        "if not hmac.compare_digest(given.encode(), self.token.encode()):",
        "if False:",
        "the control calls ask for their token",
    ),
    (
        "if not 0 <= seconds <= _MAX_WAIT_S:",
        "if not 0 <= seconds:",
        "a wait is bounded",
    ),
    (
        "query.setdefault(unquote(name), readings) is not readings",
        "query.setdefault(unquote(name), readings) is None",
        "a filter is given once",
    ),
    (
        'Either((unquote(value), unquote(value.replace(b"+", b" "))))',
        'Either((unquote(value.replace(b"+", b" ")),))',
        "a plus in a query may be a plus",
    ),
    (
        'Either((unquote(value), unquote(value.replace(b"+", b" "))))',
        "Either((unquote(value),))",
        "a plus in a query may be a blank",
    ),
    (
        '"count": len(found)',
        '"count": len(shelf)',
        "the count is of what was asked for",
    ),
    (
        "            if not begun:\n",
        "            if begun:\n",
        "an error that nobody foresaw has an answer",
    ),
    # Mail that is shown
    (
        "_IN_ADDRESSES if of_addresses else _IN_TEXT",
        "_IN_TEXT",
        "an encoded word in quotation marks is none",
    ),
    (
        '.encode("utf-16", "surrogatepass").decode("utf-16", "replace")',
        "",
        "half a surrogate pair is no text",
    ),
    # Lists
    (
        'if asked["sortascending"] == 1:',
        'if asked["sortascending"] == 0:',
        "SortAscending is 0 for ascending",
    ),
    (
        '(asked["pagereturned"] - 1) * asked["returnlimit"]',
        'asked["pagereturned"] * asked["returnlimit"]',
        "pages count from 1",
    ),
    (
        "parts.append(_both(tokens, names))",
        "parts.append(_one(tokens, names))",
        "AND binds tighter than OR",
    ),
    (
        "own.rstrip(), wanted.rstrip()",
        "own, wanted",
        "blanks at the end make no difference",
    ),
    (
        'items() if key != "*"]',
        "items() if key]",
        "the provider for any id is not listed",
    ),
    # Bodies that are not strict
    (
        "name = form.names.get(lowered(given))",
        "name = given if given in form.properties else None",
        "names may have any letter case",
    ),
    (
        "(name in value or name in spelled)",
        "name in value",
        "a name in two cases is given twice, though neither is the documented one",
    ),
    (
        "return name.lower() if name.isascii() else name",
        "return name.casefold()",
        "a letter that only folds like another is another one",
    ),
    (
        "            return int(value)\n",
        "            return value\n",
        "a whole number is an integer from there on",
    ),
    (
        'value.is_integer() and "integer" in form.types)',
        'value.is_integer() and "string" in form.types)',
        "a whole number is found in a body that is spelled as documented",
    ),
    (
        "return form.items is None or all(_fits(item, form.items) for item in value)",
        "return True",
        "the elements of a list are looked at",
    ),
    (
        "isinstance(value, str) and self._lenient and",
        "isinstance(value, str) and",
        "a text is no number in a strict world",
    ),
    (
        "name: values if len(values) > 1 else",
        "name:",
        "a form field that stands twice is refused",
    ),
    # Faults, namespaces, events, limits
    (
        "if header is not None:",
        "if header is not None and world.api_fault(operation) is None:",
        "the header beats the world's entry",
    ),
    (
        'state.count_use(f"api {key}") > fault.first',
        'state.count_use(f"api {key}") >= fault.first',
        "so many calls misbehave, and no fewer",
    ),
    (
        'self.api_faults.get(operation, self.api_faults.get("*"))',
        'self.api_faults.get("*", self.api_faults.get(operation))',
        "a fault of one operation goes before that of any",
    ),
    (
        'if len(hosts) > 1 or (not hosts and version == "1.1"):',
        "if False:",
        "a request has one header Host",
    ),
    (
        'if codings and version == "1.0":',
        "if False:",
        "version 1.0 has no chunks",
    ),
    (
        "if event is not None and self._octets <= _MAX_BEHIND:",
        "if event is not None:",
        "who does not take events is cut",
    ),
    (
        "return name != DEFAULT",
        "return False",
        "a namespace that only strangers called goes first",
    ),
    (
        "if len(self._states) > _MAX_NAMESPACES and",
        "if len(self._states) > _MAX_NAMESPACES + 1 and",
        "there are at most 1,000 namespaces",
    ),
    (
        "if not _NAME.fullmatch(name):",
        "if not _NAME.match(name):",
        "a namespace has a name of few letters",
    ),
    (
        "self._states[name] = self._new(old.journal.feed)",
        "self._states[name] = self._new(Feed())",
        "a follower sees what comes after a reset",
    ),
    (
        "        wire.NAMESPACE: name,\n        wire.PREFIX: prefix,",
        "        wire.PREFIX: prefix,",
        "the URL names the namespace",
    ),
    (
        "        self._states.reopen()\n",
        "",
        "a mock that starts again is as new",
    ),
    (
        'return b"".join(block + b"\\n" for block in blocks)',
        "return Path(path).read_bytes()",
        "no key is in the file that a client trusts",
    ),
    (
        'named or headers.get("x-mock-namespace", "").strip()',
        "named",
        "the header names the namespace",
    ),
    (
        'self.feed.publish("request", exchange)',
        "pass",
        "a call is an event",
    ),
    (
        "if self._octets > self._limits.head:",
        "if False:",
        "a header block that does not end is refused",
    ),
    (
        "if len(self.connections) > self._limits.connections:",
        "if False:",
        "connections are bounded",
    ),
    (
        'elif self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":',
        "elif False:",
        "an offer of another protocol is ignored",
    ),
    (
        "self.headers[:], self._offered = self._offered, None",
        "self._offered = None",
        "an offer is in the journal as it came",
    ),
    (
        "if not self._given_up:\n            self._left.set()",
        "if False:\n            pass",
        "who resets the connection has left",
    ),
    (
        "cycle.keep_alive = cycle.more_body = cycle.waiting_for_100_continue = False",
        "cycle.keep_alive = cycle.more_body = False",
        "who asked whether to send is let go after the last answer",
    ),
    (
        "return self._deaf and (self.cycle is None or self.cycle.response_complete)",
        "return self._deaf",
        "what is no request leaves the answers before it to who closes its half",
    ),
    (
        "if not self.pipeline:\n            # A large body pauses",
        "if False:\n            # A large body pauses",
        "who leaves behind a large body is noticed",
    ),
    (
        "_end_body(self.cycle)\n        return True",
        "return False",
        "who closes one half of a connection is answered",
    ),
    (
        "            _end(self._running)\n",
        "            pass\n",
        "nothing is written to who left before several answers",
    ),
    (
        'response.headers["Content-Length"] = str(len(response.body) or 2)',
        "pass",
        "an empty answer that breaks off is noticed",
    ),
    (
        "if self._more >= 0:",
        "if True:",
        "clients cannot fill the log",
    ),
    # What tests assert with
    (
        "if found and count in (None, len(found)):",
        "if found and (count is None or len(found) >= count):",
        "one message too many is a failure",
    ),
    (
        "and rule in (None, each)",
        "",
        "field and rule are of one violation",
    ),
    (
        "and exchange.id not in self._expected",
        "",
        "a refusal that was asked for is expected",
    ),
    (
        "    item.stash[_MOCKS] = []\n",
        "",
        "a test that runs again has another story",
    ),
    (
        "        item.add_marker(pytest.mark.thread_unsafe(reason=_SHARED))\n",
        "",
        "threads do not share a mock",
    ),
    (
        "        args[:] = [kinds if arg == _STRICT else arg for arg in args]\n",
        "",
        "a path after the bare option is not taken for its kinds",
    ),
    (
        "            if note.kind in kinds\n",
        "",
        "a strict test fails on notes of the chosen kinds only",
    ),
    (
        'return None if self.kept is None else json.loads(self.body_text or "")',
        "return self.body_text",
        "a body is read as JSON",
    ),
    (
        "    if is_plain or _QUOTED_STRING.fullmatch(local):\n",
        "    if is_plain:\n",
        "a local part that is quoted stays as it is",
    ),
    (
        ' and "=?" not in local',
        "",
        "no address is read as an encoded word",
    ),
    (
        're.sub(r\'["\\\\]|=(?=\\?)\', r"\\\\\\g<0>", local)',
        "local",
        "a quotation mark in a local part is escaped",
    ),
    (
        "    if local and (_DOT_STRING.fullmatch(domain) or _LITERAL.fullmatch(domain)):\n",
        "    if local and domain:\n",
        "what is no domain is a part of the local part",
    ),
    (
        "if self._submission.speaks_tls and mode is not TlsMode.IMPLICIT:",
        "if False:",
        "a relay that speaks TLS from the first octet does not wait for plain text",
    ),
    (
        "protocol, self._protocol = self._protocol, None",
        "protocol = self._protocol",
        "a pipe that is closed leads nowhere",
    ),
    (
        "return self.speaks_tls or self.tls_mode",
        "return self.tls_mode",
        "a relay that speaks TLS from the first octet needs it",
    ),
    ("            self._early += data\n", "            pass\n", "a pipe keeps what comes early"),
    (
        "            other.close()\n",
        "            other.other = None\n",
        "both ends of a pipe are told that it is closed",
    ),
    ('_Fault("data", methodcaller("close"))', '_Fault("data", lambda _: None)', "a drop is real"),
    (
        "            line.close()\n            self._delivery.stage",
        "            self._delivery.stage",
        "a connection that is of no use is closed",
    ),
    (
        "implicit=speaks_tls or mode is TlsMode.IMPLICIT",
        "implicit=mode is TlsMode.IMPLICIT",
        "a relay on port 465 greets nobody in plain text",
    ),
    (
        "implicit = relay.listen in relay.implicit_ports",
        "implicit = False",
        "a port of a relay's own speaks TLS from the first octet where its entry says so",
    ),
    (
        "label if label and label.isascii() else idna.encode(label, uts46=True).decode()",
        "idna.encode(label, uts46=True).decode()",
        "an underscore may stand beside a label that is not ASCII",
    ),
    (
        'if literal := value.get("SecretValue"):',
        'if (literal := value.get("SecretValue")) is not None:',
        "a blank literal beside a reference is none",
    ),
    (
        'scope=_given(body, "Scope"),',
        'scope=body.get("Scope"),',
        "a blank scope is not asked for",
    ),
    (
        'ASTERISKS: Final = "*" * 20',
        'ASTERISKS: Final = "*" * 8',
        "a secret that was given as it is comes back as 20 asterisks",
    ),
    (
        "    if not _is_reference(secret):\n        return None\n",
        "",
        "a secret object without a value is not set",
    ),
    (
        'node = node if part == "$ref" else node.at(part)',
        'node = self.node if part == "$ref" else node.at(part)',
        "a rule is told with the condition under which its schema is referred to",
    ),
    (
        "return [typed(part, items) for part in parts]",
        "return list(parts)",
        "the elements of an array in a URL have the type of its items",
    ),
    (
        "            if not _is_pattern(text)\n",
        "            if not text\n",
        "a pattern of a user's document that cannot be compiled is refused at the start",
    ),
    (
        "remote = not is_loopback(self.host)",
        "remote = not is_loopback(host)",
        "every spelling of this machine is no other one",
    ),
)

# A mutant that no test can kill, because it changes nothing that a client sees, and why.
EQUIVALENT: Final[dict[str, str]] = {
    "v1+v2 /components/schemas/SMTPTestRequest/properties/TestRecipient: minLength 1 tightened": (
        "the pattern takes no address of one character"
    ),
}
