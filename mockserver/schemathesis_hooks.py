"""What Schemathesis leaves out, and why: `SCHEMATHESIS_HOOKS=mockserver.schemathesis_hooks`."""

from typing import Any

import schemathesis


def with_whole_numbers(value: Any) -> Any:  # noqa: ANN401  # JSON
    """Write 587.0 as 587.

    JSON Schema calls both an integer, so the fuzzer takes a refusal of the first for a mistake; the
    product reads int32, and a client that writes a fraction has a bug that it wants to hear of.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: with_whole_numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [with_whole_numbers(item) for item in value]
    return value


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:  # noqa: ANN401, ARG001  # JSON; the hook's form
    """Change each body before it is sent."""
    return with_whole_numbers(body)
