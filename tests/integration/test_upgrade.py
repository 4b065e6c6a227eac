"""A warehouse of an older release, from 0.1.0 on: raw is upgraded in place; what cannot be is said with what to do."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from support.pipeline import Pipeline
from support.unread import opened_below, settle

from growth import dbt
from growth.outdated import outdated_tables
from growth.publish import publish
from growth.settings import Warehouse, feeds_folder
from growth.warehouse import create_roles, initialise
from ingest.contract_files import load_contracts
from ingest.errors import SchemaTooNew
from ingest.schema_version import VERSION, schema_version

OLD = Path(__file__).parents[1] / "support" / "warehouse_of_version_1.sql"
SESSION = "1,2024-01-05 10:00:00,true,PAID SEARCH"
DOMAIN = ["tag:acquisition", "dim_dates"]


@pytest.fixture
def old(warehouse: Warehouse, growth_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """The warehouse as the old release left it, and the landing folder that it had loaded."""
    monkeypatch.setenv("GROWTH_LANDING", str(tmp_path / "landing"))
    monkeypatch.setenv("GROWTH_HOME", str(growth_home))
    with psycopg.connect(warehouse.conninfo()) as conn:
        create_roles(conn, warehouse)
        conn.execute(OLD.read_bytes())
    pipeline = Pipeline(warehouse, tmp_path / "landing")
    pipeline.land("sessions", "a.csv", [SESSION])
    pipeline.land("conversions", "a.csv", ["1,2024-01-05 11:00:00"])
    return pipeline


def version(pipeline: Pipeline) -> int:
    with psycopg.connect(pipeline.warehouse.conninfo()) as conn:
        return schema_version(conn)


def test_a_warehouse_of_the_first_release_is_upgraded_and_goes_on(old: Pipeline) -> None:
    contracts = load_contracts(feeds_folder())
    assert version(old) == 1
    assert f"Schema raw was upgraded from version 1 to {VERSION}." in initialise(old.warehouse, contracts)
    assert version(old) == VERSION
    assert initialise(old.warehouse, contracts) == []
    history = "select load_id, status, removed_by_load_id from mart.load_history order by load_id"
    ledger = [(1, "loaded", None), (3, "refused", None), (4, "replaced", 5), (5, "loaded", None)]
    assert old.query(history, "analyst") == ledger
    # the ledger of then does not know what the files look like: they are read once
    settle(old.landing)
    for expected in ({"a.csv"}, set()):
        with opened_below(old.landing) as opened:
            assert {result.status for result in old.load("sessions", "conversions")} == {"skipped"}
        assert {*opened} == expected

    # the rows of a large load of then are found, and taken out as those of any other
    old.land("sessions", "a.csv", [SESSION.replace("PAID SEARCH", "EMAIL")])
    old.load("sessions")
    assert old.query("select medium from raw.sessions") == [("EMAIL",)]
    built = dbt.invoke(["build", "--exclude-resource-type", "test", "unit_test", "--select", *DOMAIN], old.warehouse)
    assert built.succeeded, built.reason
    assert publish(old.warehouse, "test", dbt.mart_names(["acquisition"])).changed_counts["channel_attribution"] == 1
    assert old.query("select channel from mart.channel_attribution", "analyst") == [("OTHERS",)]


def test_what_no_run_can_go_on_from_is_said_with_what_to_do(published: Pipeline) -> None:
    as_before = "alter table dwh.fct_events drop column slice_key, alter column miles_amount type text"
    with psycopg.connect(published.warehouse.conninfo()) as conn:
        conn.execute(f"{as_before}, add column old_column integer")
    refused = dbt.run_layer("dwh", published.warehouse)
    assert not refused.succeeded
    table = "dwh.fct_events (slice_key is missing, miles_amount is text, not numeric, old_column is there no more)"
    assert f"cannot go on from them: {table}." in refused.reason
    assert "`growth run --full-refresh`" in refused.reason
    assert dbt.run_layer("dwh", published.warehouse, domains=["acquisition"]).error == refused.error


def test_tables_of_a_dbt_package_are_its_own_affair(warehouse: Warehouse) -> None:
    with psycopg.connect(warehouse.conninfo()) as conn:
        create_roles(conn, warehouse)
        conn.execute("create schema elementary authorization transform")
        conn.execute("set role transform")
        conn.execute("create table elementary.dbt_invocations (dbt_user text)")
    for is_ours, found in ((False, []), (True, ["elementary.dbt_invocations (dbt_user is there no more)"])):
        config = {"materialized": "incremental", "contract": {"enforced": is_ours}}
        node = {"config": config, "schema": "elementary", "alias": "dbt_invocations", "columns": {}}
        assert outdated_tables(warehouse, {"nodes": {"model": node}}) == found


def test_a_warehouse_of_a_newer_release_is_left_alone_and_that_is_said(pipeline: Pipeline) -> None:
    assert version(pipeline) == VERSION
    with psycopg.connect(pipeline.warehouse.conninfo()) as conn:
        conn.execute("update raw._schema_version set version = version + 1")
    with pytest.raises(SchemaTooNew, match=f"version {VERSION + 1} of schema raw, and this release knows {VERSION}"):
        initialise(pipeline.warehouse, load_contracts(feeds_folder()))
