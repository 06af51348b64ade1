"""The list parameters of the product, over rows of every kind of value."""

from typing import Any

import pytest

from mockserver.base.problems import Kind, Problem
from mockserver.product import query

Json = dict[str, Any]

ROWS: list[Json] = [
    {
        "Id": 1,
        "Name": "alpha",
        "Ratio": 0.5,
        "Valid": True,
        "Type": {"Name": "Local"},
        "Note": None,
    },
    {"Id": 2, "Name": "Beta (old)", "Valid": False, "Type": {"Name": "CyberArk"}, "Note": "x"},
    {"Id": 3, "Name": "gamma", "Valid": True, "Type": {}, "Note": None, "Tags": ["Add", "Remove"]},
    {"Id": 4, "Name": "beta", "Valid": False, "Type": None, "Note": "null"},
]

FOUND = [
    ("", [1, 2, 3, 4]),
    ("  ", [1, 2, 3, 4]),
    ("Id -eq 2", [2]),
    ('Id -eq "2"', [2]),
    ("iD -gt 2", [3, 4]),
    ("Id -ge 2 and Id -le 3", [2, 3]),
    ("Id -lt 1.5", [1]),
    ("Id -eq x", []),
    ("Id -contains 1", [1]),
    ("Ratio -eq 0.5", [1]),
    ("Ratio -ne 1", [1, 2, 3, 4]),
    ("Ratio -lt 1", [1]),
    ("Valid -eq true", [1, 3]),
    ("Valid -eq 0", [2, 4]),
    ('NAME -eq "BETA"', [4]),
    ('Name -eq "beta  "', [4]),
    ('Name -contains "(OLD)"', [2]),
    ('Name -endswith "a "', []),
    ("Name -startswith b", [2, 4]),
    ("Name -notcontains a", []),
    ("Name -ge beta AND Name -lt c", [2, 4]),
    ("Type -eq local", [1]),
    ("Type -ne local", [2, 3, 4]),
    ("Type -eq null", [3, 4]),
    ("Note -eq NULL", [1, 3]),
    ("Note -ne null", [2, 4]),
    ('Note -eq "null"', [4]),
    ("Note -contains null", [4]),
    ("Note -notcontains x", [4]),
    ("Tags -contains remove", [3]),
    # AND binds tighter than OR; brackets bind tightest.
    ("Id -eq 1 OR Id -eq 2 AND Id -eq 3", [1]),
    ("(Id -eq 1 OR Id -eq 2) AND Id -eq 2", [2]),
    ("Id -eq 4 or ((Id -gt 1) and (Id -lt 3 or Name -eq gamma))", [2, 3, 4]),
    ('((Name -eq "alpha"))', [1]),
    ("  (  Id -eq 1  )OR( Id -eq 2 )  ", [1, 2]),
    ("Name -eq AND OR Name -eq OR OR Id -eq 1", [1]),
    ("(" * 90 + "Id -eq 1" + ")" * 90, [1]),
]


@pytest.mark.parametrize(("text", "expected"), FOUND)
def test_a_query_finds_its_rows(text: str, expected: list[int]) -> None:
    found, total = query.page(ROWS, {"QueryString": text})
    assert ([row["Id"] for row in found], total) == (expected, len(expected))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Local", 'no condition such as Name -eq "Local" begins at Local'),
        ("Id -eq", 'no condition such as Name -eq "Local" begins at Id -eq'),
        ('Name -eq "a', 'begins at Name -eq "a'),
        ("Id -is 1", "-is is no operator; the nearest known is -"),
        ("Id -EQ 1", "-EQ is no operator; the nearest known is -eq"),
        ("Id -eq 1 Id -eq 2", "nothing can be at Id -eq 2, but AND or OR"),
        ("Id -eq 1 AND", "is missing at its end"),
        ("OR Id -eq 1", "is missing at OR"),
        ("()", "is missing at )"),
        ("(Id -eq 1", "a bracket is open at its end"),
        ("(Id -eq 1 Id -eq 1)", "a bracket is open at Id -eq 1"),
        ("Id -eq 1)", "nothing can be at ), but AND or OR"),
        ("(" * 201, "more than 200 conditions, brackets, ANDs and ORs"),
        ("Nam -eq 1", "there is no field Nam; the nearest known is Name"),
    ],
)
def test_what_is_no_query_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(Problem) as caught:
        query.page(ROWS, {"QueryString": text})
    assert caught.value.kind is Kind.HEADER_VALUE
    assert caught.value.message.startswith("QueryString: ")
    assert message in caught.value.message


def test_without_rows_any_field_will_do_and_the_form_is_still_checked() -> None:
    assert query.page([], {"QueryString": "Any -eq 1", "SortField": "Other"}) == ([], 0)
    with pytest.raises(Problem, match="no condition"):
        query.page([], {"QueryString": "?"})


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [1, 2, 3, 4]),
        ({"SortAscending": 0}, [1, 2, 3, 4]),
        ({"SortAscending": 1}, [4, 3, 2, 1]),
        ({"SortField": "name"}, [1, 4, 2, 3]),
        ({"SortField": "Name", "SortAscending": 1}, [3, 2, 4, 1]),
        ({"SortField": "Note"}, [1, 3, 4, 2]),
        ({"SortField": "Ratio"}, [2, 3, 4, 1]),
        ({"SortField": "Valid"}, [2, 4, 1, 3]),
        ({"SortField": "Type"}, [3, 4, 2, 1]),
        ({"ReturnLimit": 3}, [1, 2, 3]),
        ({"ReturnLimit": 3, "PageReturned": 2}, [4]),
        ({"ReturnLimit": 3, "PageReturned": 3}, []),
        ({"pq.returnLimit": 1, "certificateStoreQuery.pageReturned": 2}, [2]),
    ],
)
def test_rows_are_sorted_and_paged(parameters: Json, expected: list[int]) -> None:
    found, total = query.page(ROWS, parameters)
    assert ([row["Id"] for row in found], total) == (expected, 4)


def test_a_page_has_fifty_rows_unless_asked_otherwise() -> None:
    rows = [{"Id": number} for number in range(113)]
    assert query.page(rows, {}) == (rows[:50], 113)
    assert query.page(rows, {"PageReturned": 3}) == (rows[100:], 113)


def test_a_field_to_sort_by_that_no_row_has_is_refused() -> None:
    with pytest.raises(
        Problem, match="SortField: there is no field Nme; the nearest known is Name"
    ):
        query.page(ROWS, {"SortField": "Nme"})


def test_guids_are_sorted_as_sql_server_does() -> None:
    # From the last group to the first; inside the first three, from the last octet to the first.
    ordered = [
        "ffffffff-ffff-ffff-ffff-000000000001",
        "ffffffff-ffff-ffff-0001-010000000000",
        "000000ff-ff00-0100-0002-010000000000",
        "ffffffff-00ff-0100-0002-010000000000",
        "00000000-ffff-00ff-0002-010000000000",
        "00000001-ff00-0100-0003-010000000000",
    ]
    shuffled = ordered[3:] + ordered[:3]
    assert sorted(shuffled, key=query.guid_order) == ordered
