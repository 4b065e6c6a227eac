"""The way of the data without Airflow: load, build, gate, publish, read, on a warehouse of a test's own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from growth import dbt
from growth.gate_results import run_gate
from growth.load import load
from growth.publish import Publication, publish
from growth.settings import Warehouse, feeds_folder
from growth.warehouse import initialise
from ingest.contract import Contract
from ingest.contract_files import load_contracts
from ingest.load import LoadResult
from support.postgres import PostgresServer

# dbt writes down all that it parsed after each command, which takes half a second and nobody reads.
QUICKLY = ("--quiet", "--no-write-json")

# What a reader sees, as queries that give the same text for the same marts.
MARTS = {
    "channel_attribution": "select * from mart.channel_attribution order by 1, 2, 3",
    "channel_conversion": "select * from mart.channel_conversion order by 1",
    "acquisition_daily": "select * from mart.acquisition_daily order by 1, 2",
    "fct_registrations": "select * from dwh.fct_registrations order by registration_sk",
    "fct_sessions": "select * from dwh.fct_sessions order by session_sk",
    "dim_users": "select * from dwh.dim_users order by 1, 2",
    **{
        name: f"select * from mart.{name} order by {name}::text"
        for name in (
            *("active_users", "rolling_active_users", "growth_accounting", "retention_cohorts"),
            *("power_user_curve", "usage_daily", "user_lifetimes"),
            *("monthly_revenue", "mrr_movements", "revenue_retention", "channel_quality"),
            *("nday_retention", "engagement_funnel", "engagement_concentration", "cross_product_usage"),
            *("product_overlap", "segment_usage", "engagement_distribution", "churn_risk"),
        )
    },
    **{
        name: f"select * from dwh.{name} order by {name}::text"
        for name in (
            "dim_app_users",
            "dim_products",
            "dim_event_types",
            "dim_countries",
            "dim_dates",
            "fct_user_periods",
            "dim_subscribers",
            "dim_subscriptions_by_check",
            "dim_subscriptions_by_timestamp",
            "fct_payments",
            "fct_viewing",
            "fct_subscription_months",
            "fct_user_monthly_metrics",
        )
    },
    # keys of users mean nothing outside of a warehouse
    "fct_events": "select users.user_id, to_jsonb(events) - 'user_key' - 'slice_key' as event,"
    " to_jsonb(slices) - 'slice_key' as slice from dwh.fct_events as events"
    " left join dwh.int_engagement__slices as slices using (slice_key)"
    " left join dwh.int_engagement__user_keys as users using (user_key) order by 1, 2",
}


def contracts() -> dict[str, Contract]:
    """The contracts, read once for each state of their files: every file that lands asks for them."""
    folder = feeds_folder()
    files = ((path, path.stat()) for path in sorted(folder.rglob("*.y*ml")))
    return dict(_read(folder, tuple((path, stat.st_mtime_ns, stat.st_size, stat.st_ino) for path, stat in files)))


@cache
def _read(folder: Path, _state: tuple[tuple[Path, int, int, int], ...]) -> dict[str, Contract]:
    return load_contracts(folder)


@dataclass(frozen=True)
class Pipeline:
    """One warehouse and one landing folder (GROWTH_LANDING must point to it)."""

    warehouse: Warehouse
    landing: Path

    def prepare(self) -> Pipeline:
        initialise(self.warehouse, contracts())
        return self

    def land(self, feed: str, name: str, lines: Sequence[str]) -> Path:
        """Write a file with the feed's header."""
        contract = contracts()[feed]
        path = self.landing / feed / name
        path.parent.mkdir(parents=True, exist_ok=True)
        header = ",".join(column.name for column in contract.columns)
        path.write_text("\n".join([header, *lines]) + "\n")
        return path

    def load(self, *feeds: str) -> list[LoadResult]:
        wanted = feeds or tuple(contracts())
        results = load(self.warehouse, wanted, "test", print)
        assert not [result.error for result in results if result.error]
        return results

    def build(self, *, full_refresh: bool = False) -> None:
        """All layers in one dbt command, without the gates."""
        arguments = ["build", *QUICKLY, "--exclude-resource-type", "test", "unit_test"]
        if full_refresh:
            arguments.append("--full-refresh")
        result = dbt.invoke(arguments, self.warehouse)
        assert result.succeeded, [dbt.describe(failure) for failure in result.failures] or result.error

    def gates(self) -> dict[str, int | None]:
        """Run all of them; returns the names of those that warn, with the number of rows."""
        result = dbt.invoke(["test", *QUICKLY, "--exclude-resource-type", "unit_test"], self.warehouse)
        assert result.succeeded, [dbt.describe(failure) for failure in result.failures] or result.error
        assert result.node_count > 50
        return {failure.name: failure.row_count for failure in result.failures}

    def publish(self) -> Publication:
        return publish(self.warehouse, "test", dbt.mart_names())

    def run(self, *, full_refresh: bool = False) -> Pipeline:
        self.load()
        self.build(full_refresh=full_refresh)
        self.publish()
        return self

    def run_domains(self, *domains: str) -> None:
        """As a run of domains: their feeds, then layer by layer, each with its gate."""
        self.load(*(feed for feed, contract in contracts().items() if contract.domain in domains))
        for layer in ("raw", *dbt.LAYERS):
            if layer != "raw":
                built = dbt.run_layer(layer, self.warehouse, domains=domains)
                assert built.succeeded, [dbt.describe(failure) for failure in built.failures] or built.error
            checked = run_gate(layer, self.warehouse, "test", domains)
            assert checked.succeeded, [dbt.describe(failure) for failure in checked.failures] or checked.error
            assert checked.node_count
        publish(self.warehouse, "test", dbt.mart_names(domains))

    def as_of_date(self) -> date:
        """That of the last publication."""
        query = "select as_of_date from mart.publications order by publication_id desc limit 1"
        [(day,)] = self.query(query, "analyst")
        assert isinstance(day, date)
        return day

    def query(self, query: str, role: str = "transform") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.warehouse.conninfo(role)) as conn:
            return conn.execute(query.encode()).fetchall()

    def marts(self) -> dict[str, list[str]]:
        """Every mart and fact as text, to be compared byte for byte."""
        return {name: [str(row) for row in self.query(query)] for name, query in MARTS.items()}


@dataclass(frozen=True)
class Beginnings:
    """Warehouses and landing folders by name; the folder holds the latter, the server the former."""

    server: PostgresServer
    folder: Path

    def begin(self, pipeline: Pipeline, name: str, make: Callable[[], object]) -> Pipeline:
        """Bring a fresh pipeline to where ``make`` brings it; only the first time that takes a build."""
        landing = self.folder / name
        if landing.exists():
            self._copy(name, pipeline.warehouse.database)
            shutil.copytree(landing, pipeline.landing)
            return pipeline.prepare()  # a copy lacks what is set for the database as a whole
        make()
        self._copy(pipeline.warehouse.database, name)
        shutil.copytree(pipeline.landing, landing)
        return pipeline

    def _copy(self, source: str, target: str) -> None:
        names = {"source": sql.Identifier(source), "target": sql.Identifier(target)}
        with psycopg.connect(self.server.conninfo(), autocommit=True) as conn:
            conn.execute(sql.SQL("drop database if exists {target} with (force)").format(**names))
            conn.execute(sql.SQL("create database {target} template {source}").format(**names))
