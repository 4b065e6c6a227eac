"""``growth compare``: two warehouses on one server."""

from __future__ import annotations

import psycopg
import pytest
from click.testing import CliRunner
from support.postgres import PostgresServer, new_warehouse

from growth.cli import cli
from growth.settings import Warehouse, feeds_folder
from growth.warehouse import initialise
from ingest.contract_files import load_contracts


def test_marts_of_two_warehouses_are_compared(
    warehouse: Warehouse, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in warehouse.environment().items():
        monkeypatch.setenv(name, value)
    with new_warehouse(postgres_server, "growth_test_staging") as staging:
        for each, order, more in ((warehouse, "asc", ""), (staging, "desc", ", null::int as added")):
            initialise(each, load_contracts(feeds_folder()))
            with psycopg.connect(each.conninfo("transform")) as conn:
                conn.execute(
                    f"create table mart.same as select n, 'x' as t from generate_series(1, 3) n order by n {order}"
                )
                conn.execute(f"create table mart.wider as select n{more} from generate_series(1, 3) n")
                conn.execute("create table mart.changed as select 1 as n, null::text as t")
                conn.execute(f"create table mart.only_{order} (n int)")
                conn.execute(
                    "insert into mart.publications (run_id, rules_version, row_counts) values (%s, '', '{}')", [order]
                )
        with psycopg.connect(staging.conninfo("transform")) as conn:
            conn.execute("update mart.changed set t = ''")
        connection = f"dbname={staging.database}"
        result = CliRunner().invoke(cli, ["compare", connection, "--format", "csv"])
        assert result.output.splitlines()[1:] == [
            "changed,1,1,other rows",
            "only_asc,0,,only here",
            "only_desc,,0,only there",
            "same,3,3,the same",
            "wider,3,3,added only there",
        ]
        assert result.exit_code == 1
        assert CliRunner().invoke(cli, ["compare", f"dbname={warehouse.database}"]).exit_code == 0
