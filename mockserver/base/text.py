"""Texts as people and keys have them: names that look alike, host names, and what may be shown."""

import heapq
import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

_WELL_COMPARED: Final = 30  # names
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_COMPARED: Final = 80  # characters of a name; whoever sends more meant no known one
_PORTS: Final = {"http": 80, "https": 443}  # RFC 9110, 4.2.1 and 4.2.2
_RECURRING: Final = 128  # characters; what is longer seldom comes again


def cut(text: str, most: int = 64) -> str:
    """Return a text as a message may quote it: in one line, printable, of so many characters."""
    shown = printable(text)
    return shown if len(shown) <= most else f"{shown[:most]}…"


def one_line(text: str) -> str:
    """Return a text as `cut` does, of at most 200 characters."""
    return cut(text, 200)


def printable(text: str, *, kept: str = "") -> str:
    """Return a text with what no eye can see as escape sequences, but for the characters `kept`."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in kept else ascii(each)[1:-1] for each in text
    )


def once(text: str) -> str:
    """Return the equal text that was given lately, if there is one, so that it is held once."""
    # Not by `sys.intern`: what it is given, the first releases of Python 3.12 keep for ever.
    return _lately(text) if len(text) <= _RECURRING else text


_lately: Final = lru_cache(maxsize=256)(str)


def lowered(name: str) -> str:
    """Return a name without letter case; only that of ASCII is free (a long s is no s)."""
    return name.lower() if name.isascii() else name


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that looks most like this one, however far; there must be one.

    Of very many, those whose letters are the same are compared.
    """
    import difflib  # noqa: PLC0415  # for mistakes alone

    names = {key[:_COMPARED].casefold(): key for key in known}
    wanted = name[:_COMPARED].casefold()
    keys: Iterable[str] = names
    if len(names) > _WELL_COMPARED:
        matcher = difflib.SequenceMatcher(b=wanted)

        def likeness(key: str) -> float:
            matcher.set_seq1(key)
            return matcher.quick_ratio()

        keys = heapq.nlargest(_WELL_COMPARED, names, likeness)
    return names[difflib.get_close_matches(wanted, keys, n=1, cutoff=0.0)[0]]


def apart(name: str, mark: str) -> str:
    """Return a name in PascalCase with a mark between its words."""
    return _HUMP.sub(mark, name)


def media_type(content_type: str) -> str:
    """Return what a Content-Type says without its parameters, in lower case (RFC 9110, 8.3.1)."""
    return content_type.partition(";")[0].strip().lower()


def host_name(host: str) -> str:
    """Return a host as keys have it: lower case, A-labels, no trailing dot, IPv6 in brackets.

    Raises ValueError for a bad IPv6 literal, and for a name that IDNA does not know.
    """
    if ":" in host:
        return f"[{ipaddress.IPv6Address(host.removeprefix('[').removesuffix(']'))}]"
    return _a_labels(host).lower().removesuffix(".")


def normal_url(url: str) -> str:
    """Return an http or https URL as clients call it (RFC 3986, 6.2.2 and 6.2.3).

    Its host is as keys have it, its port is left out where it is the usual one, and `.` and `..` in
    its path are followed. ValueError as for a host name.
    """
    parts = urlsplit(url)
    host, usual = host_name(parts.hostname or ""), _PORTS.get(parts.scheme)
    place = host if (parts.port or usual) == usual else f"{host}:{parts.port}"
    return parts._replace(netloc=place, path=_without_dots(parts.path) or "/").geturl()


def _without_dots(path: str) -> str:
    """Follow the segments `.` and `..` of a path (RFC 3986, 5.2.4)."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept = kept[:1] + kept[1:-1]  # what stands before the first slash stays
        elif segment != ".":
            kept.append(segment)
    return "/".join([*kept, ""] if path.endswith(("/.", "/..")) else kept)


def _a_labels(host: str) -> str:
    if host.isascii():
        return host
    import idna  # noqa: PLC0415  # its tables cost milliseconds that ASCII hosts need not pay

    # Label by label: an ASCII one may have what IDNA has not, such as an underscore.
    labels = host.removesuffix(".").split(".")
    return ".".join(
        label if label and label.isascii() else idna.encode(label, uts46=True).decode()
        for label in labels
    )
