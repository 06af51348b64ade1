"""Secrets: a literal, or a look-up in a PAM provider of the world."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from mockserver.base import masking
from mockserver.base.masking import Secret
from mockserver.base.problems import Code, Problem
from mockserver.base.text import nearest
from mockserver.journal.trace import Trace
from mockserver.world.model import PamProvider, World

Json = dict[str, Any]


@dataclass(frozen=True)
class _Parameters:
    """What a type of provider is asked with: what a secret's key is made of, and what may be added.

    (POST SMTP Test, table 888; what may be added is observed)
    """

    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def known(self) -> tuple[str, ...]:
        return self.needed + self.optional


_TYPES: Final = {
    "local": _Parameters(("SecretName",)),
    "cyberark": _Parameters(("Folder", "Object"), ("Safe",)),
    "delinea": _Parameters(("SecretId",), ("SecretFieldName",)),
}


def needed(kind: str) -> tuple[str, ...]:
    """Return what a type's secret is asked with, in the order of its key; nothing for `any`."""
    return _TYPES[kind].needed if kind in _TYPES else ()


async def resolve(value: Mapping[str, Any], field: str, world: World, trace: Trace) -> Secret:
    """Return what the secret object of a field stands for, and record the look-up.

    `value` keeps its schema: `SecretValue`, or where that is blank `Provider` and `Parameters`.
    Raises Problem 400 that names field and provider, and no value.
    """
    if literal := value.get("SecretValue"):
        trace.secret(field)
        return Secret(literal)
    number, parameters = str(value["Provider"]), value["Parameters"]
    trace.secret(field, number, cast("Json", masking.body(parameters)))
    with trace.step(f"secret {field}"):
        try:
            provider = _provider(world, number, field)
            subject = f"{field}: PAM provider {number} ({provider.name})"
            return await _look_up(provider, parameters, subject)
        except Problem as problem:
            problem.field = field
            raise


def _provider(world: World, number: str, field: str) -> PamProvider:
    provider = world.provider(number)
    if provider is None:
        known = ", ".join(key for key in world.pam_providers if key != "*") or "none"
        text = f"{field}: there is no PAM provider with the id {number}; known: {known}."
        raise Problem(400, Code.PAM_PROVIDER, text)
    return provider


async def _look_up(provider: PamProvider, parameters: Mapping[str, str], subject: str) -> Secret:
    values = _key(provider, parameters, subject)
    await asyncio.sleep(provider.delay)
    if provider.fault == "sealed":
        raise Problem(400, Code.PAM_SEALED, f"{subject} is sealed.")
    for name, own in (("Safe", provider.safe), ("SecretFieldName", provider.secret_field_name)):
        if own is not None and parameters.get(name, own) != own:
            raise Problem(400, Code.PAM_UNKNOWN, f"{subject} has another {name}: {own}.")
    secret = provider.secret(*values)
    if secret is None:
        text = f"{subject} has no such secret{_nearest_key(provider, values)}."
        raise Problem(400, Code.PAM_UNKNOWN, text)
    if not secret:
        raise Problem(400, Code.PAM_EMPTY, f"{subject} gave an empty value.")
    return secret


def _key(provider: PamProvider, parameters: Mapping[str, str], subject: str) -> list[str]:
    """Return the values of which the secret's key is made; those of type `any` by their names."""
    if provider.type not in _TYPES:
        return [parameters[name] for name in sorted(parameters)]
    wanted = _TYPES[provider.type]
    unknown = [name for name in parameters if name not in wanted.known]
    missing = [name for name in wanted.needed if name not in parameters]
    texts = [_about_unknown(name, wanted.known) for name in unknown]
    if missing:
        texts.append(f"needs {' and '.join(missing)}")
    if texts:
        code = Code.PAM_PARAMETER_MISSING
        if unknown:
            foreign = any(_type_of(name) for name in unknown)
            code = Code.PAM_PARAMETER_OF_TYPE if foreign else Code.PAM_PARAMETER_UNKNOWN
        text = f"{subject}, of type {provider.type}, {', and '.join(texts)}."
        raise Problem(400, code, text)
    return [parameters[name] for name in wanted.needed]


def _about_unknown(name: str, known: tuple[str, ...]) -> str:
    other = _type_of(name)
    if other:
        return f"has no parameter {name}, which belongs to type {other}"
    shown = name[:64] if name.isprintable() else ascii(name)[:64]
    return f"has no parameter {shown}; the nearest known is {nearest(name, known)}"


def _type_of(name: str) -> str | None:
    return next((kind for kind, wanted in _TYPES.items() if name in wanted.known), None)


def _nearest_key(provider: PamProvider, values: list[str]) -> str:
    if not provider.secrets:
        return "; it has none"
    return f"; the nearest known is {nearest('/'.join(values), provider.secrets)}"
