"""Files of events in, engagement marts out: every row equals an independent calculation, however the files came."""

from __future__ import annotations

import csv
import io
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from golden import engagement_depth_oracle as depth
from golden import engagement_oracle as oracle
from golden.engagement_log import parse_time, read_landing
from support.pipeline import Pipeline, contracts

from growth.settings import growth_home
from growth.status import silent_domains
from ingest.unload import unload

Row = dict[str, str]
Files = dict[date, dict[str, list[Row]]]  # by the day that a file is named for, and feed

START = date(2024, 12, 5)  # a Thursday; the last week of the year ends in the next one
DAYS = 70  # to 12 February: one whole month, two in part
QUIET = range(32, 53)  # three weeks in which nothing happens
WITHIN_QUIET = START + timedelta(days=41)  # but for this day, whose files come late
MICROSECOND = timedelta(microseconds=1)

# Texts that are the same after trimming, and texts that only seem so.
COUNTRIES = ["DE", " DE", "DE\t", "de", "Côte d'Ivoire", 'Korea, "South"', "two\nlines", "\u00a0", "", "  "]
PLATFORMS = ["web", "web ", "Web", "i os", "", "\t"]
CATEGORIES = ["hotel", "\nhotel", "car, rental", '"', "(none)", "", " "]
PRODUCTS = ["facebook", "whatsapp", " threads", "Threads", "miles"]
USERS = ["7", "07", "ada", "Ada", "ada l.", 'o"hara', "x,y", *(f"user {number}" for number in range(23))]
EXTRACTS = [START + timedelta(days=number) for number in (-1, 9, 40, DAYS - 1)]
ONE_DAY_USER = "only once"  # whose day of the files is the only one


def assert_deletes_by_joins(pipeline: Pipeline, model: str) -> None:
    """What a run deletes is not asked for row by row where a list of users outgrows the memory of a hash."""
    built = growth_home() / "dbt" / "target-prod" / "run" / "growth" / "models" / "dwh" / "engagement" / f"{model}.sql"
    deletes = [each for each in built.read_text().split(";") if each.strip().startswith("delete from")]
    assert deletes
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute("set work_mem = '64kB'; set hash_mem_multiplier = 1")
        for statement in deletes:
            for name in set(re.findall(r'"(\w+__dbt_tmp\w*)"', statement)):
                conn.execute(f'create temp table if not exists "{name}" as table dwh.{model}'.encode())
                conn.execute(
                    f'insert into "{name}" select made.* from "{name}" as made, generate_series(1, 99)'.encode()
                )
                conn.execute(f'analyze "{name}"'.encode())
            plan = "\n".join(line for (line,) in conn.execute(f"explain {statement}".encode()))
            assert "SubPlan" not in plan, plan


def files(seed: int) -> Files:
    """Events of users who stay, leave, come back and visit once, in several products and countries; and nobody's."""
    draw = random.Random(seed)
    content: Files = {}

    def moment(day: date) -> str:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        instant = draw.choice(
            [start, start + MICROSECOND, start + timedelta(days=1) - MICROSECOND]
            + [start + timedelta(microseconds=draw.randrange(86_400_000_000))] * 3
        )
        if draw.random() < 0.5:
            return instant.strftime("%Y-%m-%d %H:%M:%S.%f")
        return instant.astimezone(draw.choice([UTC, *_OFFSETS])).isoformat()

    def add(feed: str, day: date, row: Row) -> None:
        rows = content.setdefault(day, {"events": [], "app_events": []})[feed]
        rows.extend([row] * draw.choice([1, 1, 1, 2]))
        if draw.random() < 0.1:  # a copy, or all but one, in the next day's file
            other = row | draw.choice([{}, {"country": "FR"}])
            content.setdefault(day + timedelta(days=1), {"events": [], "app_events": []})[feed].append(other)

    def event(user: str, day: date) -> None:
        user = draw.choice([user, user, f" {user}\t"])
        common = {"user_id": user, "country": draw.choice(COUNTRIES)}
        if draw.random() < 0.5:
            row = {
                "event_time": moment(day),
                "event_type": draw.choice(["reward_search", "miles_earned", "miles_earned ", "miles_redeemed"]),
                "transaction_category": draw.choice(CATEGORIES),
                "miles_amount": draw.choice(["", "10", "10.0", "0.1", "-7.25", "123456789012.000001"]),
                "platform": draw.choice(PLATFORMS),
                "utm_source": draw.choice(["", "mail"]),
            }
            add("events", day, common | row)
        else:
            row = {
                "event_id": f"e{draw.randrange(1000)}",
                "product": draw.choice(PRODUCTS),
                "event_type": draw.choice(["view", "view", "like", "Like", "comment", "share", "miles_earned"]),
                "event_timestamp": moment(day),
                "session_id": draw.choice(["", " ", "s1", "s1 ", "S1", "s2"]),
                "duration_seconds": draw.choice(["", "0", "1", "59.999", "3600.001"]),
                "device": draw.choice(PLATFORMS),
            }
            add("app_events", day, common | row)

    active = [START + timedelta(days=number) for number in range(DAYS) if number not in QUIET]
    for user in USERS:
        first = draw.randrange(len(active))
        usual = draw.choice([0.03, 0.2, 0.9])
        for day in [active[first], *(day for day in active[first:] if draw.random() < usual)]:
            for _ in range(draw.choice([1, 1, 3])):
                event(user, day)
    for day in [active[0], *draw.sample(active, 20), active[-1]]:
        event(draw.choice(["", "  "]), day)
    for user in USERS[::4]:
        event(user, WITHIN_QUIET)
    event(ONE_DAY_USER, active[10])
    return dict(sorted(content.items()))


_OFFSETS = [datetime.strptime(text, "%z").tzinfo for text in ("+0530", "-0800")]


def land(pipeline: Pipeline, day: date, feed: str, rows: Sequence[Row]) -> None:
    """Land a day's file: every third one of app_events as Parquet."""
    if feed == "app_events" and day.day % 3 == 0:
        path = pipeline.landing / file_name(day, feed)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(parquet_table(rows), path)
        return
    contract = contracts()[feed]
    lines = []
    for row in rows:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow([row[column.name] for column in contract.columns])
        lines.append(text.getvalue().removesuffix("\n"))
    pipeline.land(feed, file_name(day, feed).removeprefix(f"{feed}/"), lines)


def file_name(day: date, feed: str) -> str:
    if feed == "app_events" and day.day % 3 == 0:
        return f"{feed}/event_date={day}/part-0.parquet"
    return f"{feed}/{day}.csv"


def parquet_table(rows: Sequence[Row]) -> pa.Table:
    names = ["event_id", "user_id", "product", "event_type", "session_id", "device", "country"]
    columns = {name: pa.array([row[name] or None for row in rows], pa.string()) for name in names}
    columns["event_timestamp"] = pa.array(
        [parse_time(row["event_timestamp"]) for row in rows], pa.timestamp("us", tz="UTC")
    )
    columns["duration_seconds"] = pa.array(
        [Decimal(row["duration_seconds"]) if row["duration_seconds"] else None for row in rows], pa.decimal128(12, 3)
    )
    return pa.table(columns)


def land_all(pipeline: Pipeline, content: Files, days: Iterable[date]) -> None:
    for day in days:
        for feed, rows in content[day].items():
            land(pipeline, day, feed, rows)


def land_accounts(pipeline: Pipeline, seed: int, days: Iterable[date] = EXTRACTS) -> None:
    """Full extracts in which most users are, with attributes that change, some blank; and users without an event."""
    draw = random.Random(seed)
    for day in days:
        lines = [
            f"{user},2024-11-01,,{draw.choice(['18-24', ' 18-24', '25-34', ''])},{draw.choice(['female', 'male', ''])},"
            f"{draw.choice(['casual', 'power', 'Power', ' '])},"
            for user in (*USERS[7:], ONE_DAY_USER, "never seen")
            if draw.random() < 0.8
        ]
        pipeline.land("app_users", f"extract_date={day}/app_users.csv", lines)


def in_ten_places(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Fractions and numerics alike; floats are left as they are, and equal neither."""
    return tuple(oracle.rounded(Fraction(value)) if isinstance(value, Fraction | Decimal) else value for value in row)


def assert_equals_the_oracle(pipeline: Pipeline) -> oracle.Expected:
    expected = oracle.calculate(pipeline.landing)
    deeper = depth.calculate(pipeline.landing)
    for calculated, mart in [(each, mart) for each in (expected, deeper) for mart in fields(each)]:
        rows = getattr(calculated, mart.name)
        columns = [column.name for column in fields(rows[0])]
        found = [in_ten_places(row) for row in pipeline.query(f"select {', '.join(columns)} from mart.{mart.name}")]
        wanted = [in_ten_places(astuple(row)) for row in rows]
        missing, surplus = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
        assert not missing | surplus, describe(mart.name, columns, missing, surplus)
        for column, wanted_values, found_values in zip(
            columns, zip(*wanted, strict=True), zip(*found, strict=True), strict=True
        ):
            assert set(map(type, found_values)) == set(map(type, wanted_values)), f"types of {mart.name}.{column}"
    return expected


def describe(mart: str, columns: Sequence[str], missing: Counter[Any], surplus: Counter[Any]) -> str:
    """The first rows that differ, those of both sides in one order."""
    lines = [f"{mart}: {missing.total()} rows missing, {surplus.total()} surplus", f"  {', '.join(columns)}"]
    for sign, rows in (("oracle   ", missing), ("warehouse", surplus)):
        in_order = sorted(rows, key=lambda row: tuple(map(str, row)))
        shown = [[repr(value) if isinstance(value, str) else str(value) for value in row] for row in in_order[:10]]
        lines += [f"  {sign} {', '.join(row)}" for row in shown]
    return "\n".join(lines)


def contents(pipeline: Pipeline) -> dict[str, list[str]]:
    """All columns of all engagement marts, and of the others, to be compared byte for byte."""
    marts = [mart.name for marts in (oracle.Expected, depth.Expected) for mart in fields(marts)]
    return pipeline.marts() | {mart: sorted(map(str, pipeline.query(f"select * from mart.{mart}"))) for mart in marts}


def user_ids(expected: oracle.Expected) -> set[str]:
    return {row.user_id for row in expected.user_lifetimes}


def first_dates(expected: oracle.Expected) -> dict[str, date]:
    return {row.user_id: row.first_event_date for row in expected.user_lifetimes if row.product == oracle.ALL}


def assert_says_much(expected: oracle.Expected) -> None:
    """Equality would mean little if nobody came back, or everything were complete."""
    for period_type in oracle.PERIOD_TYPES:
        growth = [row for row in expected.growth_accounting if row.period_type == period_type]
        assert any(row.resurrected_user_count for row in growth)
        assert any(row.churned_user_count for row in growth)
        assert any(row.net_churn_rate and row.net_churn_rate < 0 for row in growth)
    assert {row.is_complete for row in expected.retention_cohorts} == {True, False}
    assert len({row.engagement_score for row in expected.user_lifetimes}) > 10


def assert_says_much_in_depth(expected: depth.Expected) -> None:
    """The same of funnels that go on, of segments with several values, and of all that is counted by them."""
    assert {row.step_number for row in expected.engagement_funnel if row.median_hours_from_previous} >= {2, 3}
    for segment in ("all", "country", "platform", "channel", *depth.ATTRIBUTES):
        rows = [row for row in expected.nday_retention if row.segment_type == segment and row.product == oracle.ALL]
        assert segment == "all" or len({row.segment_value for row in rows}) > 1, segment
        assert {0 < row.retained_user_count < row.eligible_user_count for row in rows} == {True, False}, segment
    assert len({row.churn_risk_band for row in expected.churn_risk}) == 3
    assert len({row.user_segment for row in expected.engagement_distribution if row.user_count}) > 3


def test_marts_are_right_after_each_day_and_after_days_that_come_late(pipeline: Pipeline) -> None:
    content = files(seed=2)
    days = list(content)
    late = [WITHIN_QUIET, days[0]]  # the last one stretches the span backwards
    land_all(pipeline, content, [day for day in days[:-2] if day not in late])
    land_accounts(pipeline, seed=2, days=EXTRACTS[:-1])
    pipeline.run()
    expected = assert_equals_the_oracle(pipeline)
    for newest, late_day in zip(days[-2:], late, strict=True):
        land_all(pipeline, content, [newest, late_day])
        land_accounts(pipeline, seed=late_day.day, days=EXTRACTS[-1:])
        pipeline.run()
        before, expected = expected, assert_equals_the_oracle(pipeline)
        assert before != expected


def test_replaced_and_unloaded_files_end_as_a_full_refresh_would(pipeline: Pipeline) -> None:
    content = files(seed=3)
    days = list(content)
    land_all(pipeline, content, days)
    land_accounts(pipeline, seed=3)
    pipeline.run()
    before = assert_equals_the_oracle(pipeline)
    assert_says_much(before)
    assert_says_much_in_depth(depth.calculate(pipeline.landing))
    assert silent_domains(pipeline.warehouse) == ["acquisition", "subscription"]
    warned = pipeline.gates()["app_events_have_one_content_per_id"]
    contents_per_id = Counter(event.event_id for event in read_landing(pipeline.landing).events if event.event_id)
    assert warned == sum(count > 1 for count in contents_per_id.values()) > 0

    # Files with other content: none of it, half of it, elsewhere, at another day; and one without the one-day user.
    land(pipeline, days[0], "events", [])
    land(pipeline, days[0], "app_events", [])
    land(pipeline, days[3], "events", [row | {"country": "FR", "platform": ""} for row in content[days[3]]["events"]])
    land(pipeline, days[4], "app_events", content[days[4]]["app_events"][::2])
    land(pipeline, days[-2], "events", content[days[-9]]["events"])
    for feed, rows in content[START + timedelta(days=10)].items():
        land(pipeline, START + timedelta(days=10), feed, [row for row in rows if ONE_DAY_USER not in row["user_id"]])
    land_accounts(pipeline, seed=4, days=EXTRACTS[1:2])
    pipeline.run()
    replaced = assert_equals_the_oracle(pipeline)
    moved = pipeline.query("select distinct load_id from dwh._moved_days")
    assert moved
    looked_up = "select count(distinct load_set), count(*) > 0, count(*) = count(distinct user_key) from {}"
    assert pipeline.query(looked_up.format("dwh._changed_user_keys")) == [(1, True, True)], "once, for all models"
    for model in ("int_engagement__funnel_users", "int_engagement__user_beginnings", "dim_app_users"):
        assert_deletes_by_joins(pipeline, model)
    assert ONE_DAY_USER in user_ids(before) - user_ids(replaced)
    dates = first_dates(before)
    assert any(first > dates[user] for user, first in first_dates(replaced).items())

    # Files taken out, at both ends of the span (which shrinks) and in the middle.
    conninfo = pipeline.warehouse.conninfo("ingest")
    for day in [*days[:3], WITHIN_QUIET, days[20], *days[-2:]]:
        for feed in content[day]:
            name = file_name(day, feed)
            unload(conninfo, contracts()[feed], name, run_id="test")
            (pipeline.landing / name).unlink()  # the oracle reads what lies there
    pipeline.run()
    unloaded = assert_equals_the_oracle(pipeline)
    assert not {*moved} & {*pipeline.query("select load_id from dwh._moved_days")}, "every model has seen them"
    assert (unloaded.usage_daily[0].activity_date, unloaded.usage_daily[-1].activity_date) != (
        replaced.usage_daily[0].activity_date,
        replaced.usage_daily[-1].activity_date,
    )
    incremental = contents(pipeline)
    pipeline.run(full_refresh=True)
    assert contents(pipeline) == incremental
