"""Fixtures that every kind of test may use: a real Postgres, and a fresh database in it for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.pipeline import Pipeline
from support.postgres import PostgresServer, new_warehouse, throwaway_postgres

from growth.settings import Warehouse


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A Postgres of this test session alone: ``host``, ``port``, superuser ``growth`` / ``growth``."""
    with throwaway_postgres() as server:
        yield server


@pytest.fixture
def warehouse(postgres_server: PostgresServer) -> Iterator[Warehouse]:
    """A new, empty database: no schemas and no grants yet (roles belong to the server and outlive a test)."""
    with new_warehouse(postgres_server) as made:
        yield made


@pytest.fixture(scope="session")
def growth_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all tests that run dbt: what it has parsed, the next test need not parse again."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def pipeline(warehouse: Warehouse, growth_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A prepared warehouse and an empty landing folder."""
    monkeypatch.setenv("GROWTH_LANDING", str(tmp_path / "landing"))
    monkeypatch.setenv("GROWTH_HOME", str(growth_home))
    return Pipeline(warehouse, tmp_path / "landing").prepare()
