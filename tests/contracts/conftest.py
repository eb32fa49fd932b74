"""The adapter of a test, and a store on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasker.log.port import Store
from tests.contracts.adapters import ADAPTERS, Place


@pytest.fixture(params=ADAPTERS, ids=lambda adapter: adapter.name)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Give an empty database of each adapter."""
    found = Place(request.param, tmp_path)
    yield found
    found.close()


@pytest.fixture(params=[adapter for adapter in ADAPTERS if adapter.sqlite], ids=lambda adapter: adapter.name)
def loose(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Give an empty database of each adapter whose columns take values of any type."""
    found = Place(request.param, tmp_path)
    yield found
    found.close()


@pytest.fixture
def store(place: Place) -> Store:
    """Give a store on the database."""
    return place.open()


@pytest.fixture(params=[adapter for adapter in ADAPTERS if adapter.shared], ids=lambda adapter: adapter.name)
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Give an empty database of each adapter that other processes can open and that outlives its store."""
    found = Place(request.param, tmp_path)
    yield found
    found.close()
