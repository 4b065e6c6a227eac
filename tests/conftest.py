"""Fixtures that every kind of test may use: a real Postgres, and a fresh database in it for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from support.pipeline import Pipeline
from support.postgres import PostgresServer, throwaway_postgres

from growth.settings import ROLES, Warehouse

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A Postgres of this test session alone: ``host``, ``port``, superuser ``growth`` / ``growth``."""
    with throwaway_postgres() as server:
        yield server


@pytest.fixture
def warehouse(postgres_server: PostgresServer) -> Iterator[Warehouse]:
    """A new, empty database: no schemas and no grants yet (roles belong to the server and outlive a test)."""
    database = f"growth_{os.getpid()}_{next(_numbers)}"
    name = sql.Identifier(database)
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("create database {}").format(name))
    passwords = {role: role for role in ROLES} | {postgres_server.user: postgres_server.password}
    yield Warehouse(postgres_server.host, postgres_server.port, database, postgres_server.user, passwords)
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("drop database {} with (force)").format(name))


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
