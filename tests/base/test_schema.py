"""What is remembered of a schema is bounded."""

from itertools import islice, product

from mockserver.base.schema import _MAX_RULES, Node, Schema
from mockserver.contract.wording import WORDS

ANYTHING = {
    "properties": {"left": {"$ref": "#/anything"}, "right": {"$ref": "#/anything"}},
    "minimum": 1,
}


def test_a_recursive_schema_remembers_no_more_rules_than_others() -> None:
    schema = Schema(Node.root("test", {"anything": ANYTHING}).at("anything"), WORDS)
    ways = product(("left", "right"), repeat=12)
    for way in islice(ways, _MAX_RULES + 10):
        value: object = 0
        for name in reversed(way):
            value = {name: value}
        [breach] = schema.breaches(value)
        assert breach == (way, "minimum", "must be at least 1", "/anything/minimum")
    assert len(schema._rules) <= _MAX_RULES  # noqa: SLF001  # no other way to see it
