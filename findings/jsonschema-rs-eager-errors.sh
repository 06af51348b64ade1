#!/bin/sh
# jsonschema-rs returns an iterator from iter_errors, but has looked for all errors by then: of 20,000
# wrong elements nearly all the time goes before the first next(). Only validate stops at the first.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    jsonschema-rs==0.60.3 2> /dev/null
"$folder/venv/bin/python" -m pip list --disable-pip-version-check 2> /dev/null | grep '^jsonschema'
"$folder/venv/bin/python" - << 'END'
import time

from jsonschema_rs import Draft202012Validator, ValidationError

validator = Draft202012Validator({"items": {"minimum": 1}})
zeros = [0] * 20_000


def first_of_all():
    return next(errors)


def only_first():
    try:
        validator.validate(zeros)
    except ValidationError as error:
        return error


def seconds(work):
    began = time.perf_counter()
    assert list(work().instance_path) == [0]
    return time.perf_counter() - began


began = time.perf_counter()
errors = validator.iter_errors(zeros)
called = time.perf_counter() - began
first, alone = seconds(first_of_all), seconds(only_first)
print(type(errors).__name__, "is", "lazy" if called < first else "eager")
print("validate is at least ten times as fast:", alone * 10 < called)
assert called > 10 * first
assert called > 10 * alone
END
