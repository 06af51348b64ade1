"""Lists of the product: the PAM providers, and what its list parameters ask for."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mockserver.world.model import PamProvider, World

Json = dict[str, Any]


@dataclass(frozen=True)
class _Parameter:
    """A parameter of a provider's type, of the provider itself or (use) of each secret."""

    id: int
    name: str
    display_name: str
    use: bool = False
    data_type: int = 1  # a text; 2 is a secret

    def as_json(self) -> Json:
        return {
            "Id": self.id,
            "Name": self.name,
            "DisplayName": self.display_name,
            "DataType": self.data_type,
            "InstanceLevel": self.use,
        }


# CyberArk and Thycotic (today Delinea) are observed; the ids of the others are ours.
_PROVIDER_TYPES: Final[Mapping[str, tuple[str, str, tuple[_Parameter, ...]]]] = {
    "local": (
        "e683f4a7-5c95-5984-af94-5e9c401e781c",
        "Command Secret Provider",
        (_Parameter(9, "SecretName", "Secret Name", use=True),),
    ),
    "cyberark": (
        "16fc28fa-d2e4-4152-9895-ebf261b011b5",
        "CyberArk",
        (
            _Parameter(1, "Safe", "PrivateArk Safe"),
            _Parameter(2, "Folder", "PrivateArk Folder Name", use=True),
            _Parameter(3, "Object", "PrivateArk Protected Password Name", use=True),
            _Parameter(4, "AppId", "Application ID"),
        ),
    ),
    "delinea": (
        "c09bbfa5-a081-4194-9dd2-31f3cc3fabcc",
        "Thycotic",
        (
            _Parameter(5, "SecretServerUrl", "Server URL"),
            _Parameter(6, "RuleName", "Rule Name"),
            _Parameter(7, "SecretId", "Thycotic Secret ID", use=True),
            _Parameter(8, "RuleKey", "Rule Key", data_type=2),
        ),
    ),
    "any": ("9d888ea3-c7c7-5873-ac87-f0de6b30de88", "Any", ()),
}


def providers(world: World) -> list[Json]:
    """Give the world's providers as version 1 has them (observed)."""
    return [_provider(entry) for key, entry in world.pam_providers.items() if key != "*"]


def _provider(entry: PamProvider) -> Json:
    number = int(entry.id)
    type_id, type_name, parameters = _PROVIDER_TYPES[entry.type]
    known = {"Safe": entry.safe}
    return {
        "Id": number,
        "Name": entry.name,
        "Area": 1,
        "ProviderType": {
            "Id": type_id,
            "Name": type_name,
            "ProviderTypeParams": [{**each.as_json(), "ProviderType": None} for each in parameters],
        },
        # No type has more than one parameter whose value a world knows: its id is the provider's.
        "ProviderTypeParamValues": [
            {
                "Id": number,
                "Value": known[each.name],
                "InstanceId": None,
                "InstanceGuid": None,
                "ProviderTypeParam": each.as_json(),
            }
            for each in parameters
            if known.get(each.name) is not None
        ],
        "SecuredAreaId": None,
        "Remote": False,
    }


def without_area(provider: Json) -> Json:
    """Give a provider as version 2 has it."""
    return {name: provider[name] for name in provider if name not in {"Area", "SecuredAreaId"}}


# Lists

# The document's pattern says what a QueryString is; here it is only taken apart.
_CONDITION: Final = re.compile(r'(\w+) +-(\w+) +(?:"([^"]*)"|([^ "]+))')
_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "contains": operator.contains,
    "notcontains": lambda value, part: part not in value,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


def page(parameters: Json, rows: list[Json]) -> tuple[list[Json], int]:
    """Return the rows that the list parameters ask for, and how many there are on all pages."""
    conditions = _CONDITION.findall(parameters["QueryString"])
    found = [
        row
        for row in rows
        if all(_holds(_column(row, name), how, *texts) for name, how, *texts in conditions)
    ]
    # SortAscending is 0 for ascending, 1 for descending (the vendor's specification files).
    found.sort(
        key=lambda row: (_column(row, parameters["SortField"]), row["Id"]),
        reverse=parameters["SortAscending"] == 1,
    )
    first = (parameters["PageReturned"] - 1) * parameters["ReturnLimit"]
    return found[first : first + parameters["ReturnLimit"]], len(found)


def _column(row: Json, name: str) -> Any:  # noqa: ANN401  # a text, a number or None
    value = row[name]["Name"] if name == "ProviderType" else row[name]
    return value.casefold() if isinstance(value, str) else value


def _holds(value: str | int | None, how: str, quoted: str, word: str) -> bool:
    wanted = (quoted or word).casefold()
    if isinstance(value, str):
        return _OPERATORS[how](value, wanted)
    if value is None and how not in {"eq", "ne"}:
        return False
    return _OPERATORS[how](value, None if wanted == "null" else int(wanted))
