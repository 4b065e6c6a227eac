"""Files of a streaming service in, revenue, MRR and history out: every row equals an independent calculation."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import psycopg
from golden import subscription_oracle as oracle
from golden.engagement_oracle import rounded
from support.pipeline import Pipeline

from growth import dbt
from growth.publish import publish
from growth.settings import feeds_folder
from growth.status import silent_domains
from ingest.contract_files import load_contracts
from ingest.unload import unload

START = date(2024, 1, 20)  # the first month is one in part, and so is the last
DAYS = 140
EXTRACTS = [START + timedelta(days=number) for number in range(4, DAYS, 9)]
MISSED, LATE, REPLACED, UNLOADED = EXTRACTS[3], EXTRACTS[5], EXTRACTS[7], EXTRACTS[-1]
TWICE = EXTRACTS[9]
USERS = [f"u{number}" for number in range(30)]

# Checks that find something in these files, and only warn.
ODD = {"payments_have_one_content_per_id", "payments_lie_within_subscriptions"}
ODD |= {"subscriptions_of_a_user_do_not_overlap", "viewing_fits_into_days"}

TABLES = {
    "subscribers": "select user_id, country, signup_date, plan_type, valid_from, valid_to, is_current"
    " from dwh.dim_subscribers",
    "subscription_months": "select subscription_id, user_id, month_start, monthly_price, is_subscribed_at_month_end"
    " from dwh.fct_subscription_months",
    "user_months": "dwh.fct_user_monthly_metrics",
    **{name: f"mart.{name}" for name in ("monthly_revenue", "mrr_movements", "revenue_retention")},
}
# what shows a history → the snapshot that keeps it, a column that is text
HISTORIES = {
    "dwh.dim_subscribers": ("dwh.snap_subscribers", "country"),
    **{
        f"dwh.dim_subscriptions_by_{strategy}": (f"dwh.snap_subscriptions_by_{strategy}", "user_id")
        for strategy in ("check", "timestamp")
    },
}
VERSIONS = (
    "select subscription_id, user_id, start_date, end_date, monthly_price, valid_from, valid_to, is_current"
    " from dwh.dim_subscriptions_by_{}"
)


class Service:
    """Writes what a streaming service would deliver, of subscriptions that begin, change, overlap, end and return."""

    def __init__(self, pipeline: Pipeline, seed: int) -> None:
        self.pipeline = pipeline
        self.draw = random.Random(seed)
        self.subscriptions: list[list[Any]] = []  # id, user, start, end, price, known from, changed on, other price
        for number in range(70):
            start = START + timedelta(days=self.draw.randrange(-60, DAYS + 20))
            length = self.draw.choice([None, 0, -3, 10, 31, 45, 90])
            end = None if length is None else start + timedelta(days=length)
            price = self.draw.choice(["0", "9.99", "9.990", "10", "15.5"])
            self.subscriptions.append(
                [f"s{number}", self.draw.choice(USERS), start, end, price, start - timedelta(days=5)]
            )

    def subscriber_lines(self, day: date) -> list[str]:
        """Who is known on a day; some are missing now and then, some move and change plans."""
        draw = random.Random(f"{day}")
        return [
            f"{user},{draw.choice(['DE', 'DE', 'FR', ' FR', ''])},2024-01-01,{draw.choice(['basic', 'basic ', ''])}"
            for user in USERS[:-3]
            if draw.random() < 0.95
        ]

    def subscription_lines(self, day: date) -> list[str]:
        """Ends become known when they come, prices change; now and then a subscription is missing."""
        draw = random.Random(f"{day.toordinal() // 14}")  # the same for a while: identical extracts
        lines = []
        for number, user, start, end, price, known_from in self.subscriptions:
            shown = draw.choice([price, price, price, "12"])
            if known_from <= day and draw.random() < 0.95:
                is_known = end is not None and end <= day + timedelta(days=7)
                lines.append(f"{number},{user},{start},{end if is_known else ''},{shown}")
        return lines

    def land_extracts(self, days: Iterable[date], name: str = "a") -> None:
        for day in days:
            self.pipeline.land("subscribers", f"extract_date={day}/{name}.csv", self.subscriber_lines(day))
            self.pipeline.land("subscriptions", f"extract_date={day}/{name}.csv", self.subscription_lines(day))

    def land_events(self, days: Sequence[int]) -> None:
        """Files of ten days each: payments in two currencies, refunds, copies; viewings, by strangers too."""
        for first in days:
            draw = random.Random(f"{first}")
            payments, viewings = [], []
            for number in range(60):
                day = START + timedelta(days=first + draw.randrange(10))
                amount = draw.choice(["9.99", "9.990", "10", "-5", "15.50"])
                currency = draw.choice(["", "USD", " usd", "EUR"])
                payments.append(f"p{first}-{number},{draw.choice(USERS[:20])},{day},{amount},{currency}")
                hours = draw.choice(["0.5", "1", "1.0", "2.25", "0"])
                viewings.append(f"{draw.choice([*USERS, 'stranger'])},{day},{hours}")
            # an id with another content; more hours than a day has
            payments += [*payments[:5], f"p{first}-0,{USERS[0]},{day},1.25,"]
            viewings += [*viewings[:5], f"{USERS[0]},{day},24.5"]
            self.pipeline.land("payments", f"{first:03}.csv", payments)
            self.pipeline.land("viewing_activity", f"{first:03}.csv", viewings)

    def take_out(self, *paths: str) -> None:
        for path in paths:
            contract = load_contracts(feeds_folder())[path.split("/", 1)[0]]
            unload(self.pipeline.warehouse.conninfo("ingest"), contract, path, run_id="test")
            (self.pipeline.landing / path).unlink()  # the oracle reads what lies there


def plain(value: Any) -> Any:
    """Numbers to ten places, midnights as dates."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | Decimal | Fraction):
        return rounded(Fraction(value))
    if isinstance(value, datetime):
        assert value.astimezone(UTC).time() == datetime.min.time()
        return value.astimezone(UTC).date()
    return value


def assert_equal(what: str, found: Iterable[Sequence[Any]], expected: Iterable[Sequence[Any]]) -> None:
    here = Counter(tuple(map(plain, row)) for row in found)
    there = Counter(tuple(map(plain, row)) for row in expected)
    assert here, what
    only = [sorted(map(str, (one - other)))[:8] for one, other in ((here, there), (there, here))]
    assert only == [[], []], f"{what}: only in the warehouse, only by the oracle"


def assert_equals_the_oracle(pipeline: Pipeline) -> oracle.Expected:
    expected = oracle.calculate(pipeline.landing)
    for name, query in TABLES.items():
        rows: list[Any] = getattr(expected, name)
        if not query.startswith("select"):
            query = f"select {', '.join(rows[0].__slots__)} from {query}"
        assert_equal(name, pipeline.query(query), map(flat, rows))
    for strategy in ("check", "timestamp"):
        assert_equal(strategy, pipeline.query(VERSIONS.format(strategy)), map(flat, expected.subscriptions))
    assert pipeline.as_of_date() == expected.as_of_date
    return expected


def flat(row: Any) -> tuple[Any, ...]:
    if isinstance(row, oracle.Version):
        return (*row.values, row.valid_from, row.valid_to, row.is_current)
    return row if isinstance(row, tuple) else astuple(row)


def spoil_history(pipeline: Pipeline) -> None:
    """Change a version, lose another and close a third in every table that has history."""
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        for history, column in HISTORIES.values():
            conn.execute(
                f"""
                with numbered as (select ctid as place, row_number() over (order by dbt_scd_id) from {history}),
                lost as (delete from {history} where ctid = (select place from numbered where row_number = 1))
                update {history} set
                    {column} = case row_number when 2 then 'spoilt' else {column} end,
                    valid_to = case row_number when 3 then valid_from else valid_to end
                from numbered where {history}.ctid = place and row_number in (2, 3)
                """.encode()
            )


def contents(pipeline: Pipeline) -> dict[str, list[str]]:
    """All columns, to be compared byte for byte."""
    tables = [query.rsplit(" ", 1)[-1] for query in TABLES.values()]
    tables += [VERSIONS.format(strategy).rsplit(" ", 1)[-1] for strategy in ("check", "timestamp")]
    return {table: sorted(map(str, pipeline.query(f"select * from {table}"))) for table in tables}


def odd_subscriptions(expected: oracle.Expected) -> int:
    """Those of the newest extract that end before they start (no overlap), or that the user's next one overlaps."""
    rows = [version.values for version in expected.subscriptions if version.is_current]
    spans: list[Any] = sorted((user, start, number, end or date.max) for number, user, start, end, _ in rows)
    backwards = [span for span in spans if span[3] < span[1]]
    overlapping = [one for one, after in itertools.pairwise(spans) if one[0] == after[0] and after[1] < one[3]]
    assert backwards
    assert overlapping
    return len({*backwards, *overlapping})


def run(pipeline: Pipeline, *options: str) -> None:
    """A run of the domain in one dbt command, and without the gates."""
    pipeline.load()
    arguments = ["build", "--quiet", "--exclude-resource-type", "test", "unit_test", *options]
    result = dbt.invoke([*arguments, "--select", "tag:subscription", "dim_dates"], pipeline.warehouse)
    assert result.succeeded, [dbt.describe(failure) for failure in result.failures] or result.error
    publish(pipeline.warehouse, "test", dbt.mart_names(["subscription"]))


def assert_says_much(expected: oracle.Expected) -> None:
    """Equality would mean little if nothing moved."""
    for name in ("new", "expansion", "contraction", "churn", "reactivation"):
        assert any(getattr(row, f"{name}_mrr_amount") for row in expected.mrr_movements), name
    assert any(row.ltv_amount for row in expected.mrr_movements)
    assert {row.currency_code for row in expected.monthly_revenue} == {"USD", "EUR"}
    assert Counter((row.user_id, row.month_start) for row in expected.user_months).most_common(1)[0][1] == 2
    assert {row.is_complete for row in expected.monthly_revenue} == {True, False}
    versions: dict[object, list[oracle.Version]] = {}
    for row in sorted(expected.subscriptions, key=lambda row: row.valid_from):
        versions.setdefault(row.values[0], []).append(row)
    following = [pair for own in versions.values() for pair in itertools.pairwise(own)]
    assert any(first.valid_to == then.valid_from for first, then in following), "changed"
    assert any(first.valid_to != then.valid_from for first, then in following), "gone, and back"
    assert any(not own[-1].is_current for own in versions.values()), "gone"


def test_revenue_mrr_and_history_are_right_however_the_files_come(pipeline: Pipeline) -> None:
    service = Service(pipeline, seed=4)
    service.land_extracts([day for day in EXTRACTS[:-2] if day not in (MISSED, LATE)])
    service.land_extracts([TWICE], "again")
    service.land_events([first for first in range(0, DAYS - 20, 10) if first != 40])
    pipeline.run_domains("subscription")
    assert_says_much(assert_equals_the_oracle(pipeline))
    assert pipeline.query("select to_regclass('dwh.fct_sessions')::text, to_regclass('dwh.dim_users')::text") == [
        (None, None)
    ]
    assert silent_domains(pipeline.warehouse) == ["acquisition", "engagement"]

    # an extract older than those taken, two that wait, a month's file that comes late
    service.land_extracts([LATE, *EXTRACTS[-2:]])
    service.land_events([40, DAYS - 20])
    run(pipeline)
    second = assert_equals_the_oracle(pipeline)
    assert LATE in {row.valid_from for row in second.subscriptions}

    # other contents in the middle of history, and files taken out: the newest extract too
    pipeline.land("subscriptions", f"extract_date={REPLACED}/a.csv", service.subscription_lines(REPLACED)[::2])
    pipeline.land("payments", "050.csv", ["p,u1,2024-03-12,1.00,"])
    events = ["payments/100.csv", "viewing_activity/020.csv"]
    service.take_out(
        f"subscriptions/extract_date={UNLOADED}/a.csv", f"subscriptions/extract_date={LATE}/a.csv", *events
    )
    run(pipeline)
    third = assert_equals_the_oracle(pipeline)
    assert LATE not in {row.valid_from for row in third.subscriptions}
    assert len(third.monthly_revenue) > 20

    as_daily_runs_left_it = contents(pipeline)
    spoil_history(pipeline)
    spoilt = contents(pipeline)
    assert all(spoilt[table] != as_daily_runs_left_it[table] for table in HISTORIES), "nothing else to be mended"
    assert dbt.rebuild_history(pipeline.warehouse).succeeded
    assert contents(pipeline) == as_daily_runs_left_it
    # the whole project, of which nothing else has data
    pipeline.run(full_refresh=True)
    warned = pipeline.gates()
    assert warned.keys() >= ODD
    assert warned["subscriptions_of_a_user_do_not_overlap"] == odd_subscriptions(third)
    assert contents(pipeline) == as_daily_runs_left_it
    assert pipeline.as_of_date() == third.as_of_date
    assert pipeline.query("select distinct domains from dwh.dim_users") == [("subscription",)]
