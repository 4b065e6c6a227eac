"""Fixtures that every kind of test may use: a real Postgres, and a fresh database in it for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from support.pipeline import Beginnings, Pipeline
from support.postgres import PostgresServer, new_warehouse, throwaway_postgres

from growth.settings import Warehouse
from sample_data import write_sample

# The same for every test: dbt parses the project anew where the name of the database is another one.
DATABASE = "growth_test"

# A busy machine is slow, and that is no defect.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A Postgres of this test session alone: ``host``, ``port``, superuser ``growth`` / ``growth``."""
    with throwaway_postgres() as server:
        yield server


@pytest.fixture
def warehouse(postgres_server: PostgresServer) -> Iterator[Warehouse]:
    """A new, empty database: no schemas and no grants yet (roles belong to the server and outlive a test)."""
    with new_warehouse(postgres_server, DATABASE) as made:
        yield made


@pytest.fixture(scope="session")
def growth_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all tests that run dbt: what it has parsed, the next test need not parse again."""
    from support.quick_dbt import quicken  # dbt takes seconds to import

    quicken()
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def pipeline(warehouse: Warehouse, growth_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A prepared warehouse and an empty landing folder."""
    monkeypatch.setenv("DBT_LOG_LEVEL_FILE", "none")  # nobody reads it, and it takes a quarter of dbt's time
    monkeypatch.setenv("GROWTH_LANDING", str(tmp_path / "landing"))
    monkeypatch.setenv("GROWTH_HOME", str(growth_home))
    return Pipeline(warehouse, tmp_path / "landing").prepare()


@pytest.fixture(scope="session")
def beginnings(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Beginnings:
    """What several tests begin with, made for the first of them and copied for the others."""
    return Beginnings(postgres_server, tmp_path_factory.mktemp("beginnings"))


@pytest.fixture
def sample(pipeline: Pipeline, beginnings: Beginnings) -> Pipeline:
    """The sample as `make demo` has it, published."""

    def make() -> None:
        write_sample(pipeline.landing, users=2000, days=60, seed=1)
        pipeline.run()

    return beginnings.begin(pipeline, "sample", make)


@pytest.fixture
def published(pipeline: Pipeline, beginnings: Beginnings) -> Pipeline:
    """One session and the registration that it brought, published."""

    def make() -> None:
        pipeline.land("sessions", "a.csv", ["1,2024-01-05 10:00:00,true,PAID SEARCH"])
        pipeline.land("conversions", "a.csv", ["1,2024-01-05 11:00:00"])
        pipeline.run()

    return beginnings.begin(pipeline, "published", make)
