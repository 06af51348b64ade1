"""Fixtures: one mock for the whole session, as new for each test."""

import gc
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

import command
from mockserver import MockServer
from support import Caller, calling

collect_ignore = ["downstream"]  # a user's repository, which tests run as one

settings.register_profile("dev", max_examples=25, deadline=None)
settings.register_profile(
    "ci",
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_collection_finish() -> None:
    """Hide from the collector what stays to the end: tests run it often, and it takes 0.2 s."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    command.end()


@pytest.fixture(scope="session")
def session_mock() -> Iterator[MockServer]:
    with MockServer(https_port=0, smtp_port=0, smtps_port=0) as mock:
        yield mock


@pytest.fixture
def mock(session_mock: MockServer) -> MockServer:
    session_mock.reset()
    for name in [name for name in session_mock._states if name]:  # noqa: SLF001  # nothing else tells
        session_mock.namespace(name).drop()
    return session_mock


@pytest.fixture(scope="session")
def session_caller(session_mock: MockServer) -> Iterator[Caller]:
    with calling(session_mock) as caller:
        yield caller


@pytest.fixture
def caller(mock: MockServer, session_caller: Caller) -> Caller:
    assert session_caller.mock is mock
    return session_caller
