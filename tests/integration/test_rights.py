"""What a role may not do: nobody who reads or builds gets the owner's rights, or is in the way of loads."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.pipeline import Pipeline
from support.postgres import PostgresServer, new_warehouse, plain_owner

from growth.cleanup import forget_removed_rows
from growth.preflight import DEFAULTS

MIGRATE = Path(__file__).parents[2] / "docker" / "airflow" / "migrate.py"

# As releases up to 0.1.0 made it: a temporary view of the caller's came before the server's own.
OLD_FUNCTION = """
drop function dwh._longest_transaction_seconds();
create function dwh._longest_transaction_seconds() returns numeric
language sql stable security definer set search_path = pg_catalog as $$
    select coalesce(extract(epoch from max(clock_timestamp() - xact_start)), 0)
    from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
$$;
"""
SHADOW = """
create function pg_temp.evil() returns integer language plpgsql as
$$begin execute 'alter role analyst superuser'; return 0; end$$;
create temporary view pg_stat_activity as
select current_database() as datname, now() as xact_start, pg_temp.evil() as pid;
select dwh._longest_transaction_seconds();
"""
SUPERUSERS = "select rolname from pg_roles where rolname in ('ingest', 'transform', 'analyst') and rolsuper"
DEFINERS = """
select pronamespace::regnamespace || '.' || proname, coalesce(array_to_string(proconfig, ' '), '')
from pg_proc
where prosecdef and pronamespace <> all ('{pg_catalog, information_schema}'::regnamespace [])
order by 1
"""


@pytest.fixture(scope="module")
def reader(postgres_server: PostgresServer) -> Iterator[psycopg.Connection]:
    """A session of analyst's, in a warehouse that nothing changes."""
    with new_warehouse(postgres_server, "growth_read") as warehouse:
        Pipeline(warehouse, Path("landing")).prepare()
        with psycopg.connect(warehouse.conninfo("analyst"), autocommit=True) as conn:
            yield conn


@pytest.mark.parametrize("is_old", [False, True])
def test_what_a_reader_calls_as_the_owner_finds_nothing_of_the_readers(pipeline: Pipeline, is_old: bool) -> None:
    if is_old:  # the next start of a release that knows better replaces it
        with psycopg.connect(pipeline.warehouse.conninfo()) as conn:
            conn.execute(OLD_FUNCTION)
        pipeline.prepare()
    try:
        with psycopg.connect(pipeline.warehouse.conninfo("analyst")) as conn:
            conn.execute(SHADOW)
        assert pipeline.query(SUPERUSERS) == []
        assert pipeline.query("select dwh._longest_transaction_seconds() >= 0", "analyst") == [(True,)]
    finally:  # roles outlive a test
        with psycopg.connect(pipeline.warehouse.conninfo()) as conn:
            conn.execute("alter role analyst nosuperuser")


@pytest.mark.usefixtures("published")
def test_every_function_with_its_owners_rights_looks_into_pg_temp_last(pipeline: Pipeline) -> None:
    definers = pipeline.query(DEFINERS)
    assert "dwh._longest_transaction_seconds" in dict(definers)
    assert [name for name, settings in definers if not settings.endswith(", pg_temp")] == []


def test_a_function_that_is_as_it_should_be_is_not_made_anew(pipeline: Pipeline) -> None:
    query = "select 'dwh._longest_transaction_seconds'::regproc::oid"
    made = pipeline.query(query)
    assert pipeline.prepare().query(query) == made


def test_no_schema_of_the_owners_name_gives_the_owner_functions(pipeline: Pipeline) -> None:
    """transform may make one, and a function that fits better than the server's own, which takes anything."""
    owner = pipeline.warehouse.user
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute(
            f"""
            create schema {owner};
            create function {owner}.format(text, text) returns text language plpgsql as
            $$begin execute 'alter role transform superuser'; return 'raw.sessions'; end$$
            """.encode()
        )
        conn.execute("create table dwh._consumed_loads (model text, load_id bigint)")
    for user in (1, 2):
        pipeline.land("sessions", "a.csv", [f"{user},2024-01-05 10:00:00,true,DIRECT"])
        pipeline.load("sessions")
    try:
        assert forget_removed_rows(pipeline.warehouse) == ["sessions"]
        assert pipeline.query(SUPERUSERS) == []
        # nor in a session that somebody opens
        login = pipeline.warehouse.login(owner)
        address = {
            "host": "PGHOST",
            "port": "PGPORT",
            "dbname": "PGDATABASE",
            "user": "PGUSER",
            "password": "PGPASSWORD",
        }
        with psycopg.connect("", **{name: login[variable] for name, variable in address.items()}) as conn:
            assert conn.execute("select current_schemas(true)").fetchone() == (["pg_catalog", "public"],)
    finally:  # roles outlive a test
        with psycopg.connect(pipeline.warehouse.conninfo()) as conn:
            conn.execute("alter role transform nosuperuser")


@pytest.mark.parametrize(
    "call",
    [
        "pg_advisory_lock(hashtextextended('growth.erasure', 0))",
        "pg_advisory_lock(1, 2)",
        "pg_advisory_xact_lock_shared(1)",
        "pg_try_advisory_lock_shared(1, 2)",
        "pg_try_advisory_xact_lock(1)",
        "lo_create(0)",
        "lo_creat(-1)",
        r"lo_from_bytea(0, '\x00')",
        r"lowrite(0, '\x00')",
        r"lo_put(1, 0, '\x00')",
        "lo_import('/etc/hostname')",
    ],
)
def test_a_reader_takes_no_lock_and_stores_no_large_object(reader: psycopg.Connection, call: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"permission denied for function (pg|lo)"):
        reader.execute(f"select {call}".encode())


def test_where_the_owner_is_no_superuser_all_is_as_it_was(postgres_server: PostgresServer) -> None:
    with plain_owner(postgres_server, "growth_plain") as warehouse:
        pipeline = Pipeline(warehouse, Path("landing")).prepare()
        assert pipeline.query("select pg_try_advisory_xact_lock(1)", "analyst") == [(True,)]
        # and once it is, the next start takes them away, from a warehouse that is there
        with psycopg.connect(postgres_server.conninfo()) as conn:
            conn.execute("alter role plain_owner superuser")
        pipeline.prepare()
        for role, may in (("ingest", True), ("transform", True), ("analyst", False)):
            query = f"select has_function_privilege('{role}', 'pg_advisory_lock(bigint)', 'execute')"
            assert pipeline.query(query) == [(may,)], role
        assert pipeline.prepare().query("select pg_try_advisory_xact_lock(1)", "ingest") == [(True,)]


def test_the_password_that_replaces_a_default_is_in_no_log(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the one-shot of the stack; a server may log every statement, and logs each that fails."""
    address = psycopg.conninfo.conninfo_to_dict(postgres_server.conninfo())
    monkeypatch.setenv("PGPORT", str(address["port"]))
    monkeypatch.setenv("AIRFLOW_PASSWORD", "airflow")
    monkeypatch.setenv("WAREHOUSE_PASSWORD", "of our own, and nobody else's")
    default = DEFAULTS["WAREHOUSE_PASSWORD"]
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as conn:
        conn.execute(f"create role stack_owner login password '{default}'".encode())
        conn.execute("create database stack_owner owner stack_owner")
        conn.execute("alter role stack_owner set log_statement = 'all'")
        try:
            leave_default = runpy.run_path(str(MIGRATE))["leave_default"]
            leave_default(str(address["host"]), "stack_owner", "WAREHOUSE_PASSWORD")
            for password, is_welcome in ((default, False), ("of our own, and nobody else's", True)):
                try:
                    psycopg.connect(**address | {"user": "stack_owner", "password": password}).close()
                    assert is_welcome
                except psycopg.OperationalError:
                    assert not is_welcome
        finally:
            conn.execute("drop database stack_owner")
            conn.execute("drop role stack_owner")
    log = postgres_server.log()
    assert 'alter role "stack_owner" password' in log
    assert "of our own" not in log
