"""PAM: the types of providers, the providers as the API lists them, and the secrets in them."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

from mockserver.base import masking
from mockserver.base.jsontext import Json
from mockserver.base.masking import Secret
from mockserver.base.problems import Kind, Problem
from mockserver.base.text import cut, nearest
from mockserver.journal.trace import Trace
from mockserver.product.objects import found, rows
from mockserver.world.model import PamProvider, World

PROVIDERS: Final = "/PamProviders"
TYPES: Final = "/PamProviders/Types"


def _parameter(number: int, name: str, title: str, *, use: bool = False, kind: int = 1) -> Json:
    """Return a parameter as the API shows it: a text, or (kind 2) a secret.

    Each secret has a value of its own (`use`), or the provider has one.
    """
    shown = {"Id": number, "Name": name, "DisplayName": title}
    return {**shown, "DataType": kind, "InstanceLevel": use}


class _VaultType(NamedTuple):
    """A type of provider; one without parameters takes whatever a secret is asked for with.

    `more` are parameters of a secret object that are accepted although no list shows them.
    """

    id: str
    name: str
    parameters: tuple[Json, ...] = ()
    more: tuple[str, ...] = ()

    @property
    def needed(self) -> tuple[str, ...]:
        """What a secret is asked for with, in the order of its key (POST SMTP Test, table 888)."""
        return tuple(each["Name"] for each in self.parameters if each["InstanceLevel"])

    @property
    def known(self) -> tuple[str, ...]:
        """What a secret may be asked for with."""
        return self.needed + self.more


# By the name that a world has for it. Where the values come from: see the fidelity table.
_TYPES: Final[Mapping[str, _VaultType]] = {
    "local": _VaultType(
        "54ebf9ac-a1e4-48ae-b16e-1bfb9755465c",
        "Command Secret Provider",
        (_parameter(9, "SecretName", "Secret Reference Name", use=True),),
    ),
    "cyberark": _VaultType(
        "16fc28fa-d2e4-4152-9895-ebf261b011b5",
        "CyberArk",
        (
            _parameter(1, "Safe", "PrivateArk Safe"),
            _parameter(2, "Folder", "PrivateArk Folder Name", use=True),
            _parameter(3, "Object", "PrivateArk Protected Password Name", use=True),
            _parameter(4, "AppId", "Application ID"),
        ),
        more=("Safe",),
    ),
    "delinea": _VaultType(
        "c09bbfa5-a081-4194-9dd2-31f3cc3fabcc",
        "Thycotic",
        (
            _parameter(5, "SecretServerUrl", "Server URL"),
            _parameter(6, "RuleName", "Rule Name"),
            _parameter(7, "SecretId", "Thycotic Secret ID", use=True),
            _parameter(8, "RuleKey", "Rule Key", kind=2),
        ),
        more=("SecretFieldName",),
    ),
    "any": _VaultType("9d888ea3-c7c7-5873-ac87-f0de6b30de88", "Any"),
}


def needed(kind: str) -> tuple[str, ...]:
    """Return the parameters that a type needs for a secret, in the order of its key."""
    return _TYPES[kind].needed if kind in _TYPES else ()


def kind_of(world: World, name: str) -> _VaultType:
    """Return a type by the name that a world has for it, its id where the API made it."""
    if name in _TYPES:
        return _TYPES[name]
    row = found(rows(world, TYPES), "Id", name) or {"Name": name, "Parameters": []}
    return _VaultType(name, row["Name"], tuple(row["Parameters"]))


def name_of(world: World, number: str) -> str | None:
    """Return the name that a world has for the type with this id, None where there is none."""
    for name, kind in _TYPES.items():
        if kind.id == number.lower():
            return name
    return number if found(rows(world, TYPES), "Id", number) else None


def types(world: World) -> list[Json]:
    """Return the types as a list has them; `Any`, which is ours, only where it is used."""
    used = {entry.type for key, entry in world.pam_providers.items() if key != "*"}
    shown = [kind for name, kind in _TYPES.items() if kind.parameters or name in used]
    shown += [kind_of(world, row["Id"]) for row in rows(world, TYPES)]
    return [{"Id": kind.id, "Name": kind.name, "Parameters": [*kind.parameters]} for kind in shown]


def providers(world: World) -> list[Json]:
    """Return the world's providers as version 1 shows them; not the one for any id."""
    return [_shown(world, entry) for key, entry in world.pam_providers.items() if key != "*"]


def _shown(world: World, entry: PamProvider) -> Json:
    number, kind = int(entry.id), kind_of(world, entry.type)
    written = found(rows(world, PROVIDERS), "Id", number) or {}
    shown = {
        "Id": number,
        "Name": entry.name,
        "Area": 1,
        "ProviderType": {"Id": kind.id, "Name": kind.name, "ProviderTypeParams": kind.parameters},
        # A world gives a provider at most one such value, so that the provider's id will do for it.
        "ProviderTypeParamValues": [
            {"Id": number, "Value": entry.safe, "ProviderTypeParam": each}
            for each in kind.parameters
            if each["Name"] == "Safe" and entry.safe is not None
        ],
        "SecuredAreaId": None,  # version 2 does not show it, but can be asked for it
    }
    return {**shown, **{name: written[name] for name in _WRITTEN if name in written}}


# What a provider has that was written by the API, and a world has no key for.
_WRITTEN: Final = ("Area", "ProviderTypeParamValues", "SecuredAreaId", "Remote")


async def resolve(value: Mapping[str, Any], field: str, world: World, trace: Trace) -> Secret:
    """Return the secret that the object in a field stands for, and record the look-up.

    `value` is valid by its schema: it has `SecretValue`, or `Provider` and `Parameters`. Problem
    400 names the field and the provider, and never a value.
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
            return await _look_up(world, provider, parameters, subject)
        except Problem as problem:
            problem.field = field
            raise


def _provider(world: World, number: str, field: str) -> PamProvider:
    provider = world.provider(number)
    if provider is None:
        known = ", ".join(key for key in world.pam_providers if key != "*") or "none"
        text = f"{field}: there is no PAM provider with the id {number}; known: {known}."
        raise Problem(Kind.SECRET, text)
    return provider


async def _look_up(
    world: World, provider: PamProvider, parameters: Mapping[str, str], subject: str
) -> Secret:
    values = _key(kind_of(world, provider.type), provider, parameters, subject)
    await asyncio.sleep(provider.delay)
    if provider.fault == "sealed":
        raise Problem(Kind.SECRET, f"{subject} is sealed.")
    for name, own in (("Safe", provider.safe), ("SecretFieldName", provider.secret_field_name)):
        if own is not None and parameters.get(name, own) != own:
            raise Problem(Kind.SECRET, f"{subject} has another {name}: {own}.")
    secret = provider.secret(*values)
    if secret is None:
        raise Problem(Kind.SECRET, f"{subject} has no such secret{_nearest_key(provider, values)}.")
    if not secret:
        raise Problem(Kind.SECRET, f"{subject} gave an empty value.")
    return secret


def _key(
    wanted: _VaultType, provider: PamProvider, parameters: Mapping[str, str], subject: str
) -> list[str]:
    """Return the values that make up the key of a secret; Problem 400 where they cannot."""
    if not wanted.parameters:
        return [parameters[name] for name in sorted(parameters)]
    unknown = [name for name in parameters if name not in wanted.known]
    missing = [name for name in wanted.needed if name not in parameters]
    texts = [_about_unknown(name, wanted.known) for name in unknown]
    if missing:
        texts.append(f"needs {' and '.join(missing)}")
    if texts:
        name = provider.type if provider.type in _TYPES else wanted.name
        raise Problem(Kind.SECRET, f"{subject}, of type {name}, {', and '.join(texts)}.")
    return [parameters[name] for name in wanted.needed]


def _about_unknown(name: str, known: tuple[str, ...]) -> str:
    for other, wanted in _TYPES.items():
        if name in wanted.known:
            return f"has no parameter {name}, which belongs to type {other}"
    return f"has no parameter {cut(name)}; the nearest known is {nearest(name, known)}"


def _nearest_key(provider: PamProvider, values: list[str]) -> str:
    if not provider.secrets:
        return "; it has none"
    return f"; the nearest known is {nearest('/'.join(values), provider.secrets)}"
