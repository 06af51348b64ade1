"""Helpers over the objects of a collection."""

import pytest

from mockserver.product.objects import highest


@pytest.mark.parametrize(
    ("ids", "found"),
    [([1, 3, 2], 3), ([], 0), ([1, None], 1), (["a", 2], 2), (["a", "b"], 0), ([True, None], 0)],
)
def test_the_highest_number_is_found_among_whatever_stands_there(
    ids: list[object], found: int
) -> None:
    assert highest([{"Id": each} for each in ids], "Id") == found
    assert highest([*({"Id": each} for each in ids), {}], "Id") == found
