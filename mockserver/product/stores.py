"""Certificate stores, their types and applications: what recordings show beyond the schemas."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from mockserver.base.jsontext import Json, compact_json
from mockserver.base.problems import Kind, Problem
from mockserver.contract.form import ASTERISKS, NO_GUID
from mockserver.product.objects import Write, found, highest, rows
from mockserver.world.model import World

_STORE_TYPES: Final = "/CertificateStoreTypes"
_STORES: Final = "/CertificateStores"
_APPLICATIONS: Final = "/Applications"

# Certificate store types

_JOBS: Final = {
    "InventoryJobType": (),
    "ManagementJobType": ("Add", "Remove"),
    "DiscoveryJobType": ("Discovery",),
    "EnrollmentJobType": ("Enrollment",),
}
_WHEN: Final = {
    "HasPrivateKey": "HasPrivateKey",
    "OnAdd": "OnAdd",
    "OnRemove": "OnRemove",
    "OnReenrollment": "OnODKG",
}
_SECRET_TYPE: Final = 3  # String, Bool, MultipleChoice, Secret


def _store_type(write: Write) -> Json:
    row = {**write.row}
    own = {"StoreTypeId": row["StoreType"]}
    row["Capability"] = row.get("Capability") or row["ShortName"]
    properties = [{**_defined(each), **own} for each in row.get("Properties") or ()]
    parameters = [
        {**_defined(each), **own, **_conditions(each)} for each in row.get("EntryParameters") or ()
    ]
    row["Properties"] = [
        {**each, "ValidationOptions": {"OnCreation": int(bool(each.get("Required")))}}
        for each in write.numbered(properties, "Properties")
    ]
    row["EntryParameters"] = write.numbered(parameters, "EntryParameters")
    row["JobProperties"] = [each["Name"] for each in parameters]
    does = row.get("SupportedOperations") or {}
    for job, needs in _JOBS.items():
        if not row.get(job) and (not needs or any(does.get(need) for need in needs)):
            row[job] = str(uuid4())
    if row.get("ServerRequired") and not row.get("ServerRegistration"):
        most = highest(rows(write.state.world, _STORE_TYPES), "ServerRegistration")
        row["ServerRegistration"] = write.state.number("ServerRegistration", most)
    return row


def _defined(item: Json) -> Json:
    """Return an item of a store type; a blank text is the same as none, and all are texts."""
    texts = {
        name: _text(item[name])
        for name in ("DependsOn", "DefaultValue")
        if item.get(name) not in (None, "")
    }
    return {**item, "DependsOn": None, "DefaultValue": None, **texts}


def _text(given: object) -> str:
    return given if isinstance(given, str) else json.dumps(given)


def _conditions(item: Json) -> Json:
    """Return when an entry parameter is required, in both forms that answers have."""
    when, options = item.get("RequiredWhen") or {}, item.get("ValidationOptions") or {}
    required = {name: bool(when.get(name) or options.get(other)) for name, other in _WHEN.items()}
    others = {other: int(required[name]) for name, other in _WHEN.items()}
    return {"RequiredWhen": required, "ValidationOptions": others}


# Certificate stores

_NOT_SUPPORTED: Final = "Key generation is not supported by the agent for this store."
_MASKED: Final[Json] = {
    "Value": ASTERISKS,
    "SecretTypeGuid": NO_GUID,
    "InstanceId": None,
    "InstanceGuid": None,
    "ProviderTypeParameterValues": [],
    "ProviderId": None,
    "IsManaged": False,
    "SecretType": 0,
    "RemoteProviderName": None,
    "HasValue": True,
}


def _store(write: Write) -> Json:
    row, world = {**write.row}, write.state.world
    if found(rows(world, _STORE_TYPES), "StoreType", row["CertStoreType"]) is None:
        number = row["CertStoreType"]
        text = f"The certificate store type with StoreType '{number}' does not exist."
        raise Problem(Kind.NOT_FOUND, text)
    before = _properties(write.old or {})
    secrets = _secret_names(world, row)
    row["Properties"] = {
        name: _kept_secret(before.get(name)) if name in secrets or _is_secret(item) else item
        for name, item in _sent_properties(write.sent).items()
    }
    row["DisplayName"] = f"{row['ClientMachine']} - {row['Storepath']}"
    row["Approved"] = row["AgentAssigned"] = True
    return row


def _sent_properties(sent: Json) -> Json:
    """Return the properties of a request, which are JSON in a text; values may be wrapped."""
    try:
        given = json.loads(sent.get("Properties") or "{}")
        pairs = [(name, _unwrapped(item)) for name, item in given.items()]
    except (ValueError, AttributeError, RecursionError):
        raise Problem(Kind.BODY, "Properties: must be a JSON object, as text.") from None
    return dict(pairs)


def _unwrapped(item: object) -> object:
    if isinstance(item, dict) and [name.lower() for name in item] == ["value"]:
        return next(iter(item.values()))
    return item


def _is_secret(item: object) -> bool:
    return isinstance(item, dict) and not {"SecretValue", "Provider"}.isdisjoint(item)


def _kept_secret(before: object) -> str:
    """Return the GUID that stands for a secret; it stays when the secret changes."""
    return before if isinstance(before, str) else str(uuid4())


def _properties(row: Json) -> Json:
    given = row.get("Properties") or {}
    properties: Json = json.loads(given) if isinstance(given, str) else given
    return properties


def _secret_names(world: World, row: Json) -> set[str]:
    kind = found(rows(world, _STORE_TYPES), "StoreType", row.get("CertStoreType")) or {}
    items = kind.get("Properties") or ()
    return {item["Name"] for item in items if item.get("Type") in (_SECRET_TYPE, "Secret")}


def _store_properties(_: World, row: Json) -> str:
    return compact_json(_properties(row))


def _masked_properties(world: World, row: Json) -> str:
    secrets = _secret_names(world, row)
    shown = {name: _MASKED if name in secrets else item for name, item in _properties(row).items()}
    return compact_json(shown)


def _container_name(world: World, row: Json) -> object:
    number = row.get("ContainerId")
    container = None if number is None else found(rows(world, _APPLICATIONS), "Id", number)
    return container and container["Name"]


def _reenrollment(world: World, row: Json) -> Json:
    kind = found(rows(world, _STORE_TYPES), "StoreType", row.get("CertStoreType")) or {}
    does = bool((kind.get("SupportedOperations") or {}).get("Enrollment"))
    return {"Data": does, "Message": "" if does else _NOT_SUPPORTED}


# Schedules

_TIMED: Final = {"Daily": "D", "Weekly": "W", "Monthly": "M"}


def _today(schedule: Json | None) -> Json:
    """Return a schedule as it is shown later: of a daily, weekly or monthly one the time stays."""
    shown = {name: item for name, item in (schedule or {}).items() if item is not None}
    for name in _TIMED.keys() & shown.keys():
        date = f"{datetime.now(UTC):%Y-%m-%d}"
        shown[name] = {**shown[name], "Time": f"{date}T{_time(shown[name])}:00Z"}
    return shown


def _time(item: Json) -> str:
    return str(item["Time"]).rpartition("T")[2][:5]


def _code(_: World, row: Json) -> str | None:
    for name, item in _today(row.get("Schedule")).items():
        if name in _TIMED:
            day = {"Daily": "", "Weekly": "", "Monthly": f"{item.get('Day')}_"}[name]
            return f"{_TIMED[name]}_{day}{_time(item)}"
        if name == "Interval":
            return f"I_{item['Minutes']}"
    return None


def _store_count(world: World, row: Json) -> int:
    return sum(store.get("ContainerId") == row["Id"] for store in rows(world, _STORES))


WRITES: Final[Mapping[str, Callable[[Write], Json]]] = {_STORE_TYPES: _store_type, _STORES: _store}
VALUES: Final[Mapping[str, Callable[[World, Json], object]]] = {
    "store_properties": _store_properties,
    "store_properties_masked": _masked_properties,
    "container_name": _container_name,
    "inventory_schedule": lambda _, row: _today(row.get("InventorySchedule")) or None,
    "reenrollment": _reenrollment,
    "store_password": lambda *_: _MASKED,
    "schedule_code": _code,
    "schedule_today": lambda _, row: _today(row.get("Schedule")),
    "store_count": _store_count,
    "collection_query": lambda _, row: row.get("Query"),
}
