"""What the documents accept and refuse of a PAM provider, and of a type of them, rule by rule."""

import pytest

from mockserver.base.data import data_folder
from mockserver.contract.operations import Contract
from support import HEADERS, Json

CONTRACT = Contract.load(data_folder("openapi"))

TYPE = {"Id": "16fc28fa-d2e4-4152-9895-ebf261b011b5"}
CALLS = [("POST", "1"), ("POST", "2"), ("PUT", "1"), ("PUT", "2")]
LEAST, MOST = -(2**31), 2**31 - 1
NUMBERS: list[object] = [None, LEAST, 0, MOST]
NO_NUMBERS: list[tuple[object, str]] = [
    (LEAST - 1, "minimum"), (MOST + 1, "maximum"), ("one", "type"), (1.5, "type"), (True, "type"),
]  # fmt: skip

ACCEPTED: dict[str, list[object]] = {
    "Name": ["a", "a" * 500, "Schlüssel 1"],
    "Remote": [True, False],
    "ProviderTypeParamValues": [
        None, [], [{}], [{"Value": None}, {"Value": ""}], [{"InstanceGuid": None}],
        [{"InstanceGuid": "x"}], [{"ProviderTypeParam": None}], [{"ProviderTypeParam": {}}],
        [{"Other": 1, "ProviderTypeParam": {"Other": 1}}],
        *([{"Id": number, "InstanceId": number}] for number in NUMBERS),
        *([{"ProviderTypeParam": {"Id": number}}] for number in NUMBERS),
    ],
    "Other": [1],
}  # fmt: skip
REFUSED: dict[str, list[tuple[object, str, str]]] = {
    "Name": [
        ("", "", "minLength"), ("a" * 501, "", "maxLength"), ("a\x01", "", "pattern"),
        ("a\x9f", "", "pattern"), (None, "", "type"), (1, "", "type"),
    ],
    "Remote": [("yes", "", "type"), (1, "", "type")],
    "ProviderTypeParamValues": [
        ({}, "", "type"), ([None], "/0", "type"), ([{"Value": 1}], "/0/Value", "type"),
        ([{"InstanceGuid": 1}], "/0/InstanceGuid", "type"),
        ([{"ProviderTypeParam": 1}], "/0/ProviderTypeParam", "type"),
        *(([{"Id": value}], "/0/Id", rule) for value, rule in NO_NUMBERS),
        *(([{"InstanceId": value}], "/0/InstanceId", rule) for value, rule in NO_NUMBERS),
        *(
            ([{"ProviderTypeParam": {"Id": value}}], "/0/ProviderTypeParam/Id", rule)
            for value, rule in NO_NUMBERS
        ),
    ],
}  # fmt: skip


def provider(method: str, **changes: object) -> Json:
    numbered = {"Id": 2} if method == "PUT" else {}
    return {"Name": "New", "Remote": False, "ProviderType": TYPE, **numbered, **changes}


def broken(method: str, path: str, version: str, body: object) -> set[tuple[str, str]]:
    operation = CONTRACT.operation(path, method, version)
    return {(found.path, found.rule) for found in operation.check(HEADERS, body)}


@pytest.mark.parametrize(("method", "version"), CALLS)
@pytest.mark.parametrize("field", ACCEPTED)
def test_a_value_of_a_provider_is_accepted(method: str, version: str, field: str) -> None:
    for value in ACCEPTED[field]:
        body = provider(method, **{field: value})
        assert broken(method, "/PamProviders", version, body) == set(), value


@pytest.mark.parametrize(("method", "version"), CALLS)
@pytest.mark.parametrize("field", REFUSED)
def test_a_value_of_a_provider_is_refused(method: str, version: str, field: str) -> None:
    for value, below, rule in REFUSED[field]:
        body = provider(method, **{field: value})
        found = broken(method, "/PamProviders", version, body)
        assert found == {(f"/{field}{below}", rule)}, value


@pytest.mark.parametrize("field", ["Area", "SecuredAreaId"])
@pytest.mark.parametrize(("method", "version"), CALLS)
def test_version_2_knows_no_areas(method: str, version: str, field: str) -> None:
    for value in NUMBERS:
        body = provider(method, **{field: value})
        assert broken(method, "/PamProviders", version, body) == set()
    for value, rule in NO_NUMBERS:
        found = broken(method, "/PamProviders", version, provider(method, **{field: value}))
        assert found == ({(f"/{field}", rule)} if version == "1" else set())


@pytest.mark.parametrize(("method", "version"), CALLS)
def test_an_area_that_is_left_out_is_the_first(method: str, version: str) -> None:
    filled = CONTRACT.operation("/PamProviders", method, version).filled(provider(method))
    assert filled.get("Area") == (1 if version == "1" else None)


@pytest.mark.parametrize(("method", "version"), CALLS)
def test_a_provider_must_have_a_name_and_where_it_is_asked_for_a_type(
    method: str, version: str
) -> None:
    def found(body: object) -> set[tuple[str, str]]:
        return broken(method, "/PamProviders", version, body)

    typed = (method, version) != ("PUT", "2")
    whole = provider(method)
    assert found([]) == {("", "type")}
    for name in ("Name", *(["ProviderType"] if typed else [])):
        assert found({key: whole[key] for key in whole if key != name}) == {
            (f"/{name}", "required")
        }
    kinds: list[tuple[object, str, str]] = [
        (None, "", "type"), ({}, "/Id", "required"), ({"Id": 1}, "/Id", "type"),
        ({"Id": "x"}, "/Id", "format"), ({"Id": f"{TYPE['Id']}x"}, "/Id", "format"),
    ]  # fmt: skip
    for kind, below, rule in kinds:
        expected = {(f"/ProviderType{below}", rule)} if typed else set()
        assert found(provider(method, ProviderType=kind)) == expected
    assert found(provider(method, ProviderType={**TYPE, "Name": 1})) == set()


@pytest.mark.parametrize(("method", "version"), CALLS)
def test_only_version_2_must_hear_whether_a_replaced_provider_is_remote(
    method: str, version: str
) -> None:
    without = provider(method)
    del without["Remote"]
    strict = (method, version) == ("PUT", "2")
    for body, rule in ((without, "required"), (provider(method, Remote=None), "type")):
        expected = {("/Remote", rule)} if strict else set()
        assert broken(method, "/PamProviders", version, body) == expected


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_provider_is_replaced_by_its_number(version: str) -> None:
    def found(**changes: object) -> set[tuple[str, str]]:
        return broken("PUT", "/PamProviders", version, provider("POST", **changes))

    assert found() == {("/Id", "required")}
    assert found(Id=0) == found(Id=MOST) == set()
    refused: list[tuple[object, str]] = [(None, "type"), (-1, "minimum"), *NO_NUMBERS[1:]]
    for value, rule in refused:
        assert found(Id=value) == {("/Id", rule)}


GOOD_TYPES: list[Json] = [
    {"Name": "a"}, {"Name": "a" * 500}, {"Name": "a", "Other": 1},
    {"Name": "a", "Parameters": None}, {"Name": "a", "Parameters": []},
    *(
        {"Name": "a", "Parameters": [{"Name": name, "DataType": kind, **more}]}
        for name in ("a", "a" * 500)
        for kind in (1, 2)
        for more in (
            {}, {"DisplayName": None}, {"DisplayName": "x"}, {"InstanceLevel": None},
            {"InstanceLevel": True}, {"Other": 1},
        )
    ),
]  # fmt: skip
BAD_TYPES: list[tuple[object, str, str]] = [
    ([], "", "type"), ({}, "/Name", "required"), ({"Name": ""}, "/Name", "minLength"),
    ({"Name": "a" * 501}, "/Name", "maxLength"), ({"Name": None}, "/Name", "type"),
    ({"Name": "a", "Parameters": {}}, "/Parameters", "type"),
    *(
        ({"Name": "a", "Parameters": [parameter]}, f"/Parameters/0{below}", rule)
        for parameter, below, rule in (
            (None, "", "type"), ({"DataType": 1}, "/Name", "required"),
            ({"Name": "a"}, "/DataType", "required"),
            ({"Name": "", "DataType": 1}, "/Name", "minLength"),
            ({"Name": "a" * 501, "DataType": 1}, "/Name", "maxLength"),
            ({"Name": 1, "DataType": 1}, "/Name", "type"),
            ({"Name": "a", "DataType": None}, "/DataType", "type"),
            ({"Name": "a", "DataType": 0}, "/DataType", "enum"),
            ({"Name": "a", "DataType": 3}, "/DataType", "enum"),
            ({"Name": "a", "DataType": 1, "DisplayName": 1}, "/DisplayName", "type"),
            ({"Name": "a", "DataType": 1, "InstanceLevel": 1}, "/InstanceLevel", "type"),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_type_of_providers_is_accepted(version: str) -> None:
    for body in GOOD_TYPES:
        assert broken("POST", "/PamProviders/Types", version, body) == set(), body


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_type_of_providers_is_refused(version: str) -> None:
    for body, path, rule in BAD_TYPES:
        assert broken("POST", "/PamProviders/Types", version, body) == {(path, rule)}, body
