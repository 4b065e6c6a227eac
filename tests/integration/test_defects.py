"""A defect is stopped by the gate that docs/data-quality.md names; the marts stay, and it is told once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg
from support.candidates import Candidates
from support.pipeline import Pipeline
from support.receivers import Hook
from support.steady import HISTORY, PER_DAY, land

from growth import dbt
from growth.alerts import quality
from growth.alerts.causes import TaskFailure, task_failed
from growth.alerts.sending import send
from growth.gate_results import run_gate

NEW_DAYS = {HISTORY: PER_DAY, HISTORY + 1: PER_DAY, HISTORY + 2: PER_DAY}
ACQUISITION_DAILY = "mart_candidate.acquisition_daily"


@dataclass(frozen=True)
class Defect:
    """What is wrong, and the checks that find it, all of one gate."""

    layer: str
    inject: Callable[[Pipeline], object]
    found_by: set[str]
    mend: Callable[[Pipeline], object] = field(default=lambda _: None)


def feed(name: str, file: str, *lines: str) -> Callable[[Pipeline], object]:
    def inject(pipeline: Pipeline) -> None:
        pipeline.land(name, file, lines)
        pipeline.load()

    return inject


def new_days(days: dict[int, int]) -> Callable[[Pipeline], object]:
    return lambda pipeline: land(pipeline, "new.csv", days)


def execute(statement: str) -> Callable[[Pipeline], object]:
    def inject(pipeline: Pipeline) -> None:
        with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
            conn.execute(statement.encode())

    return inject


def spoil_staging(pipeline: Pipeline) -> None:
    """Let the view lose rows."""
    assert dbt.run_layer("staging", pipeline.warehouse).succeeded
    [(view,)] = pipeline.query("select pg_get_viewdef('staging.stg_acquisition__sessions'::regclass)")
    execute(
        "create or replace view staging.stg_acquisition__sessions as"
        f" select * from ({view.rstrip(';')}) as all_rows where user_id <> '3'"
    )(pipeline)


# The first two spoil what was built and published, before there are new loads; nothing looks there afterwards. Of the
# others each is mended before the next: a file of the same name replaces the one before.
DEFECTS = {
    "marts that disagree": Defect(
        "mart",
        execute(f"update {ACQUISITION_DAILY} set session_count = session_count + 1 where channel = 'EMAIL'"),
        {"acquisition_daily_has_every_session", "acquisition_daily_agrees_with_channel_conversion"},
    ),
    "a duplicate key": Defect(
        "dwh",
        execute("insert into dwh.dim_channels select * from dwh.dim_channels where channel = 'EMAIL'"),
        {"unique_dim_channels_channel"},
    ),
    "a day missing between new days": Defect(
        *("raw", new_days(NEW_DAYS | {HISTORY + 1: 0}), {"no_day_missing_sessions"})
    ),
    "halved volume after 60 steady days": Defect(
        *("raw", new_days(NEW_DAYS | {HISTORY + 1: PER_DAY // 2}), {"volume_holds_sessions"}), new_days(NEW_DAYS)
    ),
    "an event in the year 2199": Defect(
        *("raw", feed("conversions", "b.csv", "7,2199-01-01 00:00:00"), {"events_not_in_future_conversions"}),
        feed("conversions", "b.csv", "7,2024-01-09 00:00:00"),
    ),
    "durations that are times, in seconds and microseconds": Defect(
        "raw",
        feed(
            "app_events", "a.csv", *(f"e{n},u,threads,view,2024-01-05 10:00:00,s,{n},ios,FR" for n in (1.7e9, 1.7e15))
        ),
        {"within_range_app_events_duration_seconds"},
        feed("app_events", "a.csv", "e,u,threads,view,2024-01-05 10:00:00,s,31622400,ios,FR"),
    ),
    "a payment without a subscriber, a negative price, negative hours": Defect(
        "raw",
        lambda pipeline: [
            pipeline.land("subscribers", "a.csv", ["ann,DE,2024-01-01,basic"]),
            pipeline.land("payments", "a.csv", ["1,ann,2024-01-05,-9.99,EUR", "2,bob,2024-01-05,9.99,EUR"]),
            pipeline.land("subscriptions", "a.csv", ["1,ann,2024-01-01,,-1"]),
            feed("viewing_activity", "a.csv", "ann,2024-01-05,-0.5")(pipeline),
        ],
        {
            "relationships_payments_user_id",
            "within_range_subscriptions_monthly_price",
            "within_range_viewing_activity_hours_watched",
        },
    ),
    "rows lost on the way": Defect("staging", spoil_staging, {"stg_acquisition__sessions_has_every_row_of_raw_once"}),
}


def test_each_defect_is_stopped_by_its_gate_changes_no_mart_and_is_told_once(steady: Pipeline, hook: Hook) -> None:
    pipeline = steady
    image = Candidates(pipeline.warehouse).image()
    for defect in DEFECTS.values():
        defect.inject(pipeline)
        hook.received.clear()
        # as the task of the gate does, in dags/growth_tasks
        assert not run_gate(defect.layer, pipeline.warehouse, "run").succeeded
        task_id = f"gate_{defect.layer}"
        failed = quality.failed_checks(pipeline.warehouse, "run", task_id)
        send(pipeline.warehouse, task_failed(TaskFailure("growth_daily", "run", task_id), failed))
        [alert] = hook.received
        assert alert["title"] == f"{task_id} stopped growth_daily"
        assert {check["name"] for check in alert["checks"]} == defect.found_by
        assert Candidates(pipeline.warehouse).image() == image, "byte for byte"
        defect.mend(pipeline)
