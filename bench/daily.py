"""Measure what one more day of events costs after 30 and after 360 days of history, against a full rebuild.

``make bench-daily`` runs it, on a throw-away server with the settings of the embedded one. What is measured is dbt's
model time: the sum over the models of engagement, and what these read, of the time that each
took, from raw to the candidates of the marts. One model runs at a time, so that its time is its own: beside another one
on two cores it also waits for that. The same day is added to both histories. bench/README.md has the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from bench.database import describe, new_database
from growth import dbt
from growth.load import load
from growth.settings import ROLES, Warehouse, dbt_target, feeds_folder
from growth.warehouse import initialise
from ingest.contract_files import load_contracts
from sample_data.sample import write_sample

FEEDS = ("events", "app_events", "app_users")
SELECTED = ("+tag:engagement",)
SEED = 1
EVENTS_PER_USER = 40
SHOWN_MODELS = 12
# Those that no mart of the core reads: funnels, N-day retention, segments, scores and churn risk.
DEPTH = {
    *("int_engagement__user_beginnings", "int_engagement__nday_outcomes", "nday_retention"),
    *("int_engagement__funnel_users", "engagement_funnel"),
    *("int_engagement__user_months", "int_engagement__product_sets", "cross_product_usage", "product_overlap"),
    *("engagement_concentration", "engagement_distribution", "segment_usage"),
    "churn_risk",
}
# What the dashboard asks of each mart: one page's worth of rows.
QUERIES = {
    "active_users": "select * from mart_candidate.active_users where period_type = 'day' and country = 'all'"
    " and platform = 'all' and category = 'all' order by period_start",
    "rolling_active_users": "select * from mart_candidate.rolling_active_users where product = 'all' order by 1",
    "growth_accounting": "select * from mart_candidate.growth_accounting where product = 'all' and country = 'all'",
    "retention_cohorts": "select * from mart_candidate.retention_cohorts where product = 'all' and country = 'all'",
    "power_user_curve": "select * from mart_candidate.power_user_curve where product = 'all'",
    "usage_daily": "select * from mart_candidate.usage_daily order by activity_date",
}


@dataclass(frozen=True, slots=True)
class Build:
    """One dbt build: seconds of each model, and of the whole command by the clock."""

    seconds: Mapping[str, float]
    wall_seconds: float

    @property
    def model_seconds(self) -> float:
        """Sum over the models."""
        return sum(self.seconds.values())

    @property
    def depth_seconds(self) -> float:
        """Sum over the models that are there for the marts in depth.

        Raises:
            KeyError: one of them is not there any more.
        """
        return sum(self.seconds[model] for model in DEPTH)


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000, help="events in the long history")
    parser.add_argument("--days", type=int, default=360, help="days of the long history")
    parser.add_argument("--short-days", type=int, default=30, help="days of the short history")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="growth-bench-"))
    os.environ["GROWTH_HOME"], os.environ["GROWTH_LANDING"] = str(folder / "home"), str(folder / "landing")
    try:
        sample = folder / "sample"
        say("writing the sample")
        users = max(arguments.events // EVENTS_PER_USER, 1000)
        write_sample(
            sample, users=users, days=arguments.days + 1, seed=SEED, feeds=FEEDS, events=arguments.events,
            lead_days=0, is_daily=True,
        )  # fmt: skip
        measure_all(arguments, sample, folder / "landing")
    finally:
        shutil.rmtree(folder)


def measure_all(arguments: argparse.Namespace, sample: Path, landing: Path) -> None:
    """Build both histories, add the day to each, rebuild the long one, and print what all that took."""
    last = sorted({day_of(path) for path in sample.rglob("*") if path.is_file()})[-1]
    thin_extracts(sample, last)
    days = sorted({day_of(path) for path in sample.rglob("*") if path.is_file() and day_of(path) < last})
    histories = {"short": days[-arguments.short_days :], "long": days[-arguments.days :]}
    results: dict[str, Build] = {}
    with ExitStack() as stack:
        conninfo = stack.enter_context(new_database())
        print(f"{describe(conninfo)}; {os.cpu_count()} cores", flush=True)
        for name, history in histories.items():
            warehouse = new_warehouse(conninfo, name)
            land(sample, landing, history)
            say(f"{name}: loading {len(history)} days")
            load(warehouse, FEEDS, "bench", quiet)
            results[f"{name} full"] = build(warehouse, full_refresh=True)
            show(f"{name}: full build of {count(warehouse):,} events", results[f"{name} full"])
            land(sample, landing, [last])
            load(warehouse, FEEDS, "bench", quiet)
            results[f"{name} day"] = build(warehouse)
            show(f"{name}: one more day", results[f"{name} day"])
            if name == "long":
                time_queries(warehouse)
            shutil.rmtree(landing)
    # what fct_events reads, itself, and what reads no event
    before = ("stg_engagement__", "int_engagement__user_keys", "int_engagement__slices", "fct_events", "dim_app_users")
    rest = sum(seconds for model, seconds in results["long full"].seconds.items() if not model.startswith(before))
    short, long, full = (results[name].model_seconds for name in ("short day", "long day", "long full"))
    print(f"full rebuild {full:.1f} s of model time, {rest:.1f} s of it after fct_events")
    in_depth = (results[name].depth_seconds for name in ("long full", "long day"))
    print("the marts in depth: {:.1f} s of the full rebuild, {:.1f} s of the day".format(*in_depth))
    print(f"one day: {short:.2f} s after {arguments.short_days} days, {long:.2f} s after {arguments.days} days")
    print(f"ratios: long / short {long / short:.2f}, long / full rebuild {long / full:.3f}")


def thin_extracts(sample: Path, last: str) -> None:
    """Leave the first extract of accounts of each month, and that of the last day: events are what is measured."""
    seen: set[str] = set()
    for path in sorted((sample / "app_users").rglob("*.csv")):
        day = day_of(path)
        if day != last and day[:7] in seen:
            path.unlink()
        seen.add(day[:7])


def day_of(path: Path) -> str:
    """The day that a file of the daily sample is of, from its name or its folder."""
    name = path.parent.name if "=" in path.parent.name else path.stem
    return name[-10:]


def land(sample: Path, landing: Path, days: Sequence[str]) -> None:
    """Link the files of these days into the landing folder."""
    wanted = set(days)
    for path in sample.rglob("*"):
        if path.is_file() and day_of(path) in wanted:
            target = landing / path.relative_to(sample)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)


def new_warehouse(conninfo: str, name: str) -> Warehouse:
    """A new database on the server, ready for loads."""
    info = psycopg.conninfo.conninfo_to_dict(conninfo)
    database = f"growth_bench_{name}"
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute(f"drop database if exists {database} with (force)")
        conn.execute(f"create database {database}")
    owner = str(info["user"])
    passwords = {role: role for role in ROLES} | {owner: str(info.get("password", ""))}
    warehouse = replace(
        Warehouse.at(str(info["host"]), int(info["port"])), database=database, user=owner, passwords=passwords
    )
    initialise(warehouse, load_contracts(feeds_folder()))
    return warehouse


def build(warehouse: Warehouse, *, full_refresh: bool = False) -> Build:
    """Build every model; what dbt says goes nowhere."""
    arguments = ["build", "--quiet", "--threads", "1", "--select", *SELECTED]
    arguments += ["--exclude-resource-type", "test", "unit_test"]
    started = time.monotonic()
    result = dbt.invoke([*arguments, *(["--full-refresh"] if full_refresh else [])], warehouse)
    wall = time.monotonic() - started
    if not result.succeeded:
        sys.exit(result.details)
    results = json.loads((dbt_target() / "run_results.json").read_text(encoding="utf-8"))["results"]
    return Build({each["unique_id"].rsplit(".", 1)[-1]: each["execution_time"] for each in results}, wall)


def show(what: str, made: Build) -> None:
    """Print a build, its dearest models first."""
    print(f"{what}: {made.model_seconds:.1f} s of model time, {made.wall_seconds:.1f} s by the clock")
    for model, seconds in sorted(made.seconds.items(), key=lambda item: -item[1])[:SHOWN_MODELS]:
        print(f"    {seconds:7.2f}  {model}")
    sys.stdout.flush()


def time_queries(warehouse: Warehouse) -> None:
    """Print how long each query of the dashboard takes, the best of three."""
    with psycopg.connect(warehouse.conninfo("transform")) as conn:
        for name, query in QUERIES.items():
            times = []
            for _ in range(3):
                started = time.monotonic()
                rows = conn.execute(query.encode()).fetchall()
                times.append(time.monotonic() - started)
            print(f"    {1000 * min(times):7.1f} ms  {name}: {len(rows)} rows")
    sys.stdout.flush()


def count(warehouse: Warehouse) -> int:
    """Events in the warehouse."""
    with psycopg.connect(warehouse.conninfo("transform")) as conn:
        row = conn.execute("select count(*) from dwh.fct_events").fetchone()
        assert row is not None
        return int(row[0])


def say(what: str) -> None:
    """Tell what takes long, apart from the results."""
    print(what, file=sys.stderr, flush=True)


def quiet(_: str) -> None:
    """Say nothing of each file."""


if __name__ == "__main__":
    main()
