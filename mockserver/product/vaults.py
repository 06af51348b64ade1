"""PAM providers, their types and secrets, written by the API: one store with the world's."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from uuid import uuid4

from mockserver.base.jsontext import Json
from mockserver.base.problems import Kind, Problem
from mockserver.journal.state import State
from mockserver.product import objects, pam
from mockserver.product.objects import Write
from mockserver.world.model import PamProvider, World

_ENTRIES: Final = "/PamProviders/Local/{providerId}/Entries"

_ENTRIES_OF: Final = re.compile(r"/PamProviders/Local/([0-9]+)/Entries")
_SECRET: Final = 2  # DataType


def owns(path: str) -> bool:
    """Say whether the objects at a path are kept here."""
    return path in (pam.PROVIDERS, pam.TYPES) or _ENTRIES_OF.fullmatch(path) is not None


def rows(world: World, path: str) -> Sequence[Json]:
    """Return the providers, the types, or the secrets of a local provider."""
    if path == pam.PROVIDERS:
        return pam.providers(world)
    if path == pam.TYPES:
        return pam.types(world)
    number, provider = _local(world, path)
    described = {row["SecretName"]: row for row in objects.rows(world, path)}
    return [
        {**described.get(name, {}), "ProviderId": number, "SecretName": name}
        for name in provider.secrets
        if name != "*"
    ]


def _local(world: World, path: str) -> tuple[int, PamProvider]:
    number = int(re.findall("[0-9]+", path)[0])
    provider = world.pam_providers.get(str(number))
    if provider is None:
        raise Problem(Kind.NOT_FOUND, f"Unable to find 'PAM Provider' with Id '{number}'")
    if provider.type != "local":
        raise Problem(Kind.BODY, f"The PAM provider {number} keeps no secrets of its own.")
    return number, provider


def keep(state: State, path: str, kept: Sequence[Json], grown: int) -> None:
    """Put the objects at a path in the place of those before."""
    world = state.world
    providers = world.data["pam_providers"]
    if path == pam.PROVIDERS:
        changed = {str(row["Id"]): _entry_of(world, row) for row in kept}
        any_id = {"*": providers["*"]} if "*" in providers else {}
        state.put_resources({path: kept}, grown, {"pam_providers": {**changed, **any_id}})
    elif path == pam.TYPES:
        used = {row["ProviderType"]["Id"] for row in pam.providers(world)}
        made = {row["Id"] for row in objects.rows(world, path)}
        built_in = {row["Id"] for row in pam.types(world)} - made
        if not used | built_in <= {row["Id"] for row in kept}:
            raise Problem(Kind.BODY, "The PAM provider type is built in, or a PAM provider has it.")
        own = [row for row in kept if row["Id"] not in built_in]
        state.put_resources({path: own}, grown)
    else:
        number, _ = _local(world, path)
        before = providers[str(number)]
        old = before.get("secrets", {})
        secrets = {name: value for name, value in old.items() if name == "*"}
        for row in kept:
            secrets[row["SecretName"]] = row.get("SecretValue", old.get(row["SecretName"]))
        changed = {**providers, str(number): {**before, "secrets": secrets}}
        described = [_without(row, "SecretValue") for row in kept]
        state.put_resources({path: described}, grown, {"pam_providers": changed})


def _entry_of(world: World, row: Json) -> Json:
    """Return a provider as a world has it; one that is new opens the same vault as another."""
    kind = pam.name_of(world, row["ProviderType"]["Id"]) or ""
    entries: Mapping[str, Json] = world.data["pam_providers"]
    entry = entries.get(str(row["Id"]))
    if entry is None:
        same = (each for each in entries.values() if each["type"] == kind and "fault" not in each)
        vault: Json = next(same, {}) if kind != "local" else {}
        entry = {"type": kind, "secrets": vault.get("secrets", {})}
    safe = [
        each["Value"]
        for each in row["ProviderTypeParamValues"]
        if each["ProviderTypeParam"]["Name"] == "Safe"
    ]
    return {**_without(entry, "safe"), "name": row["Name"], **({"safe": safe[0]} if safe else {})}


def _without(row: Json, member: str) -> Json:
    return {name: value for name, value in row.items() if name != member}


# What is written


def _type(write: Write) -> Json:
    world = write.state.world
    used = [each["Id"] for row in pam.types(world) for each in row["Parameters"]]
    parameters = [
        {
            "Id": write.state.number("PAM parameters", max(used)),
            "Name": each["Name"],
            "DisplayName": each.get("DisplayName") or each["Name"],
            "DataType": each["DataType"],
            "InstanceLevel": bool(each.get("InstanceLevel")),
        }
        for each in write.row.get("Parameters") or ()
    ]
    return {"Id": write.row["Id"], "Name": write.row["Name"], "Parameters": parameters}


def _provider(write: Write) -> Json:
    world, row = write.state.world, {**write.row}
    # The type of a provider stays.
    number = str((write.old or row)["ProviderType"]["Id"])
    name = pam.name_of(world, number)
    if name is None:
        raise Problem(Kind.NOT_FOUND, f"Unable to find 'PAM Provider Type' with Id '{number}'")
    kind = pam.kind_of(world, name)
    parameters = {each["Id"]: each for each in kind.parameters}
    before = {
        each["ProviderTypeParam"]["Id"]: each
        for each in (write.old or {}).get("ProviderTypeParamValues", ())
    }
    values = []
    for given in write.sent.get("ProviderTypeParamValues") or ():
        wanted = (given.get("ProviderTypeParam") or {}).get("Id") or given.get("Id")
        parameter = parameters.get(wanted)
        if parameter is None:
            text = f"Unable to find 'PAM Provider Type Parameter' with Id '{wanted}'"
            raise Problem(Kind.NOT_FOUND, text)
        if row.get("Remote") and not parameter["InstanceLevel"]:
            text = "Provider type parameters are not allowed for remote PAM providers."
            raise Problem(Kind.BODY, text)
        values.append(_value(write, parameter, given, before.get(wanted)))
    return {**row, "ProviderTypeParamValues": values, "ProviderType": {"Id": kind.id}}


def _value(write: Write, parameter: Json, given: Json, before: Json | None) -> Json:
    """Return the value of a parameter; a secret is shown as a GUID, which it keeps."""
    every = (
        each["Id"]
        for row in pam.providers(write.state.world)
        for each in row["ProviderTypeParamValues"]
    )
    guid = None
    if parameter["DataType"] == _SECRET:
        guid = before["InstanceGuid"] if before else str(uuid4())
    return {
        "Id": before["Id"] if before else write.state.number("PAM values", max(every, default=0)),
        "Value": guid or given.get("Value"),
        "InstanceGuid": guid,
        "ProviderTypeParam": parameter,
    }


def _entry(write: Write) -> Json:
    """Return a local secret; its value goes into the world, where secrets are."""
    _local(write.state.world, write.path)
    value = write.sent.get("SecretValue")
    row = _without(write.row, "SecretValue")
    return {**row, "SecretValue": value} if value is not None else row


WRITES: Final[Mapping[str, Callable[[Write], Json]]] = {
    pam.TYPES: _type,
    pam.PROVIDERS: _provider,
    _ENTRIES: _entry,
}
