"""The disk is full in the middle of a run: it fails and says so, readers notice nothing, and the next run is whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from support.disk import small_disk
from support.pipeline import MARTS, Pipeline
from support.postgres import PostgresServer

from growth import dbt

READ = [name for name, query in MARTS.items() if "from mart." in query]


@pytest.fixture
def disk(published: Pipeline, postgres_server: PostgresServer) -> Iterator[Path]:
    """What the whole database lies on."""
    database = sql.Identifier(published.warehouse.database)
    with (
        small_disk(published.warehouse, megabytes=80) as disk,
        psycopg.connect(postgres_server.conninfo(), autocommit=True) as conn,
    ):
        conn.execute(sql.SQL("create tablespace tiny location {}").format(str(disk / "data")))
        conn.execute(sql.SQL("alter database {} set tablespace tiny").format(database))
        yield disk
        conn.execute(sql.SQL("alter database {} set tablespace pg_default").format(database))
        conn.execute("drop tablespace tiny")


def test_a_run_that_fills_the_disk_changes_no_mart_and_the_next_one_is_whole(published: Pipeline, disk: Path) -> None:
    before = published.marts()
    published.land("sessions", "b.csv", ["2,2024-01-06 10:00:00,true,DIRECT"])
    published.land("conversions", "b.csv", ["2,2024-01-06 11:00:00"])
    published.load()
    (disk / "something else").write_bytes(bytes(shutil.disk_usage(disk).free))
    result = dbt.run_layer("dwh", published.warehouse)
    assert 0 < len(result.failures) < result.node_count, "in the middle"
    assert not result.succeeded
    assert not result.lost_connection, "another try would not help"
    for failure in result.failures:
        assert "No space left on device" in failure.message
        assert failure.name in result.reason
    assert result.reason.endswith("(docs/runbooks/disk_full.md)")
    now = published.marts()
    assert [now[mart] for mart in READ] == [before[mart] for mart in READ]

    (disk / "something else").unlink()
    published.build()
    published.publish()
    after = published.marts()
    assert after["acquisition_daily"] != before["acquisition_daily"]
    published.build(full_refresh=True)
    published.publish()
    assert published.marts() == after
