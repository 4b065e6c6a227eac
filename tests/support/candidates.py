"""Marts to publish, without the models that make them: two candidates whose sums must agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from growth.publish import Publication, publish
from growth.rollback import Rollback, rollback
from growth.settings import Warehouse, feeds_folder
from growth.warehouse import initialise
from ingest.contract_files import load_contracts

MARTS = ("daily", "totals")
# Tables of schema mart that tell what happened and grow with every gate, also one that stops the run
# (docs/operations.md). mart.publications is not among them: what publishes nothing writes nothing there.
GROW_WITH_EVERY_GATE = ("gate_results", "dbt_invocations")
# What publishing reads beside the candidates.
DWH = """
create table dwh.dim_dates as select date '2024-01-01' as calendar_date;
create table dwh._model_versions as select 'fct_registrations' as model, 'one' as version;
create table mart_candidate.daily (day int, amount numeric);
create table mart_candidate.totals (name text, amount numeric);
comment on table mart_candidate.daily is 'Amount per day.';
comment on column mart_candidate.daily.day is 'The day.';
"""


@dataclass(frozen=True)
class Candidates:
    """A prepared warehouse with candidates for ``mart.daily`` (a row a day) and ``mart.totals`` (one row)."""

    warehouse: Warehouse

    def prepare(self) -> Candidates:
        initialise(self.warehouse, load_contracts(feeds_folder()))
        self.execute(DWH)
        return self

    def fill(self, *amounts: int) -> Candidates:
        """Write the candidates anew: a day for each amount."""
        self.execute(
            "truncate mart_candidate.daily, mart_candidate.totals;"
            + "".join(f"insert into mart_candidate.daily values ({day}, {a});" for day, a in enumerate(amounts))
            + "insert into mart_candidate.totals select 'all', sum(amount) from mart_candidate.daily;"
            + f"update dwh.dim_dates set calendar_date = date '2024-01-01' + {len(amounts)};"
        )
        return self

    def publish(self, *, marts: tuple[str, ...] = MARTS, force: bool = False) -> Publication:
        return publish(self.warehouse, "test", marts, force=force)

    def rollback(self, *, force: bool = False) -> Rollback:
        return rollback(self.warehouse, "undo", force=force)

    def execute(self, statements: str, role: str | None = "transform") -> None:
        """As a role, or as the owner."""
        with psycopg.connect(self.warehouse.conninfo(role)) as conn:
            conn.execute(statements.encode())

    def query(self, query: str, role: str = "analyst") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.warehouse.conninfo(role)) as conn:
            return conn.execute(query.encode()).fetchall()

    def rows(self, mart: str = "daily") -> list[tuple[Any, ...]]:
        return self.query(f"select * from mart.{mart} order by 1")

    def image(self) -> list[tuple[Any, ...]]:
        """Every row of schema mart with its place and the transaction that wrote it, and its tables' columns.

        Without the rows of ``GROW_WITH_EVERY_GATE``.
        """
        images: list[tuple[Any, ...]] = []
        excepted = ", ".join(f"'{name}'" for name in GROW_WITH_EVERY_GATE)
        for (table,) in self.query(
            "select oid::regclass::text from pg_class where relnamespace = 'mart'::regnamespace and relkind = 'r' "
            f"and relname not in ({excepted}) order by 1",
            "transform",
        ):
            images += self.query(f"select '{table}', ctid::text, xmin::text, t::text from {table} as t order by 2")
        return images + self.query(
            "select attrelid::regclass::text, attname, atttypid, col_description(attrelid, attnum) from pg_attribute "
            "where attrelid in (select oid from pg_class where relnamespace = 'mart'::regnamespace) order by 1, attnum"
        )
