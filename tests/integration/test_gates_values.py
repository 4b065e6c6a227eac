"""Bad days that have as many rows as ever are stopped: their values tell. Good ones pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import timedelta

import psycopg
import pytest
from support.pipeline import Pipeline
from support.steady import HISTORY, PER_DAY, START

from growth import dbt
from sample_data import write_sample

Day = Callable[[int, int], str]  # what a line says of a number from 0 up, on that day


def failing(pipeline: Pipeline, *checks: str, **variables: object) -> dict[str, list[tuple[object, ...]]]:
    """Those of the checks that fail, all of them critical, each with the rows that it keeps."""
    command = ["test", "--quiet", "--select", *checks]
    if variables:  # dbt parses anew for others than before
        command += ["--vars", json.dumps(variables)]
    result = dbt.invoke(command, pipeline.warehouse)
    assert (result.error, {check.name for check in result.checks}) == ("", set(checks))
    assert {failure.status for failure in result.failures} <= {"fail"}
    return {
        failure.name: pipeline.query(f"select * from {failure.kept_in} order by 1, 2") for failure in result.failures
    }


def land(pipeline: Pipeline, feed: str, name: str, days: Iterable[int], line: Day, count: int = PER_DAY) -> None:
    pipeline.land(feed, name, [line(day, number) for day in days for number in range(count)])
    pipeline.load(feed)


def consume(pipeline: Pipeline) -> None:
    """What is loaded becomes history, as when models of both domains were built from it."""
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute("drop table if exists dwh._consumed_loads")
        models = "unnest(array['fct_events', 'fct_payments'])"
        conn.execute(
            f"create table dwh._consumed_loads as select model, load_id from raw._loads, {models} as model".encode()
        )


def date_of(day: int) -> str:
    return str((START + timedelta(days=day)).date())


def subscription(price: float = 10) -> Day:
    return lambda _, number: f"s{number},u{number},2024-01-01,,{price + number % 3}"


def extract(pipeline: Pipeline, day: int, count: int, line: Day | None = None) -> None:
    name = f"extract_date={date_of(day)}/a.csv"
    land(pipeline, "subscriptions", name, [day], line or subscription(), count)


def test_an_extract_that_was_cut_or_doubled_is_stopped(pipeline: Pipeline) -> None:
    check = "extract_holds_subscriptions"
    extract(pipeline, 0, 100)
    extract(pipeline, 28, 600)
    assert failing(pipeline, check) == {}, "a first load, however it grows"
    consume(pipeline)

    for good in (0, 360, 1800):  # a file with a header and nothing else is no extract
        extract(pipeline, 35, good)
        assert failing(pipeline, check) == {}, good
    for bad in (300, 1801):
        extract(pipeline, 35, bad)
        [[day, *counts]] = failing(pipeline, check)[check]
        assert (str(day), counts) == (date_of(35), [bad, 600])
    assert failing(pipeline, check, excepted_days={"subscriptions": [date_of(35)]}) == {}

    extract(pipeline, 42, 600)  # while the one before still waits to be mended
    assert set(failing(pipeline, check)) == {check}
    extract(pipeline, 35, 600)
    assert failing(pipeline, check) == {}
    consume(pipeline)
    extract(pipeline, 28, 59)
    assert [counts for _, *counts in failing(pipeline, check)[check]] == [[59, 100]], "an old one that is replaced"
    extract(pipeline, 28, 100)
    assert failing(pipeline, check) == {}, "no later one is judged: no new load touched it"
    land(pipeline, "subscriptions", f"extract_date={date_of(49)}/again.csv", [49], subscription(), 600)
    land(pipeline, "subscriptions", f"extract_date={date_of(49)}/and_again.csv", [49], subscription(), 600)
    consume(pipeline)
    extract(pipeline, 56, 600)
    assert failing(pipeline, check) == {}, "what came twice on one date counts once"


def test_days_that_are_excepted_of_no_feed_are_an_error(pipeline: Pipeline) -> None:
    excepted = {"excepted_days": {"sessions": [date_of(0)], "subscription": [date_of(0)]}}
    result = dbt.invoke(
        ["test", "--select", "extract_holds_subscriptions", "--vars", json.dumps(excepted)], pipeline.warehouse
    )
    assert not result.succeeded
    assert "var excepted_days: unknown feed: subscription; there are: app_events, " in result.error


def test_an_extract_of_a_young_company_is_not_judged(pipeline: Pipeline) -> None:
    extract(pipeline, 0, 100)
    consume(pipeline)
    extract(pipeline, 27, 301, subscription(price=1000))
    assert failing(pipeline, "extract_holds_subscriptions", "means_hold_subscriptions") == {}


def test_an_extract_of_few_rows_is_not_judged(pipeline: Pipeline) -> None:
    extract(pipeline, 0, 99)
    consume(pipeline)
    extract(pipeline, 28, 20, subscription(price=10_000))
    assert failing(pipeline, "extract_holds_subscriptions", "means_hold_subscriptions") == {}


def test_prices_of_an_extract_in_cents_are_stopped(pipeline: Pipeline) -> None:
    check = "means_hold_subscriptions"
    extract(pipeline, 0, PER_DAY, subscription(price=1))
    extract(pipeline, 28, PER_DAY)
    extract(pipeline, 35, PER_DAY, subscription(price=1000))
    assert failing(pipeline, check) == {}, "a first load"
    extract(pipeline, 35, PER_DAY)
    consume(pipeline)

    extract(pipeline, 42, PER_DAY, subscription(price=20))
    assert failing(pipeline, check) == {}, "a new price list"
    extract(pipeline, 42, PER_DAY, subscription(price=1000))
    [[day, figure, *_, value, expected]] = failing(pipeline, check)[check]
    assert (str(day), figure) == (date_of(42), "mean size of monthly_price")
    assert (value, expected) == (pytest.approx(1001, abs=1), pytest.approx(11, abs=0.1))


def payment(amount: Callable[[int], float]) -> Day:
    return lambda day, number: f"p{day}-{number},u{number},{date_of(day)},{amount(number)},EUR"


def usual(number: int) -> float:
    """One of twenty is a refund."""
    return -10 if number % 20 == 0 else 10 + number % 7


PAYMENTS: dict[str, tuple[Callable[[int], float], set[str]]] = {
    "as ever": (usual, set()),
    "twice the price": (lambda number: 2 * usual(number), set()),
    "a third are refunds": (lambda number: -10 if number % 3 == 0 else 10, set()),
    "one large contract": (lambda number: usual(number) if number else 1_000_000, set()),
    "one large refund": (lambda number: usual(number) if number else -1_000_000, set()),
    "cents": (lambda number: 100 * usual(number), {"mean size of amount"}),
    "thousands": (lambda number: usual(number) / 1000, {"mean size of amount"}),
    "all 0": (lambda _: 0, {"mean size of amount"}),
    "few are not 0": (lambda number: -10 if number < 5 else 0, set()),
    "the sign turned": (lambda number: -usual(number), {"share above 0 of amount"}),
}


def test_amounts_of_another_size_or_sign_are_stopped(pipeline: Pipeline) -> None:
    check = "means_hold_payments"
    history = range(HISTORY)
    land(pipeline, "payments", "history.csv", history, payment(usual))
    land(pipeline, "payments", "odd.csv", [HISTORY - 7], payment(lambda _: 1_000_000))
    assert failing(pipeline, check) == {}, "a first load"
    consume(pipeline)
    for name, (amount, expected) in PAYMENTS.items():
        land(pipeline, "payments", "new.csv", [HISTORY], payment(amount))
        rows = failing(pipeline, check).get(check, [])
        assert {str(figure) for _, figure, *_ in rows} == expected, name
    land(pipeline, "payments", "new.csv", [HISTORY], payment(lambda _: 1000), 99)
    assert failing(pipeline, check) == {}, "few"


def event(user: Callable[[int], object], miles: Callable[[int], object] = lambda _: "") -> Day:
    return lambda day, number: (
        f"{START + timedelta(days=day, minutes=number)},{user(number)},login,,{miles(number)},ios,ads,DE"
    )


def two_of_three(number: int) -> object:
    return number if number % 3 else ""


USERS: dict[str, tuple[Callable[[int], object], set[str]]] = {
    "as ever": (two_of_three, set()),
    "one of two": (lambda number: number if number % 2 else "", set()),
    "one of four": (lambda number: number if number % 4 == 0 else "", {"share that names a user"}),
    "nobody": (lambda _: '" "', {"share that names a user"}),
    "all one": (lambda _: "0", {"all name one user"}),
}


def test_days_that_lost_their_users_are_stopped(pipeline: Pipeline) -> None:
    check = "users_hold_events"
    land(pipeline, "events", "history.csv", range(HISTORY), event(two_of_three), 2 * PER_DAY)
    assert failing(pipeline, check) == {}, "a first load"
    consume(pipeline)
    for name, (user, expected) in USERS.items():
        land(pipeline, "events", "new.csv", [HISTORY], event(user), 2 * PER_DAY)
        rows = failing(pipeline, check).get(check, [])
        assert {str(figure) for _, figure, *_ in rows} == expected, name
    land(pipeline, "events", "new.csv", [HISTORY], event(lambda _: "0"), 99)
    assert failing(pipeline, check) == {}, "few"


@pytest.mark.parametrize("user", [lambda number: 7, lambda number: number if number % 200 == 0 else ""])
def test_users_and_amounts_are_judged_only_where_history_has_them(
    pipeline: Pipeline, user: Callable[[int], object]
) -> None:
    """A device for everyone, or hardly anybody with a name; miles that cancel each other out."""
    land(pipeline, "events", "history.csv", range(HISTORY), event(user, lambda number: (-1) ** number * 10))
    consume(pipeline)
    day = event(user if user(1) else lambda _: "", lambda number: (-1) ** number * 10 + 1)
    land(pipeline, "events", "new.csv", [HISTORY], day)
    assert failing(pipeline, "users_hold_events", "means_hold_events") == {}


def test_later_days_of_the_sample_pass(pipeline: Pipeline) -> None:
    """All its feeds, delivered day by day, with the twists of docs/data-card.md."""
    write_sample(pipeline.landing, users=2000, days=60, seed=1)
    pipeline.load()
    consume(pipeline)
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        newer = date_of(45)
        loads = "select load_id from raw._changed_days where event_date >= %s"
        conn.execute(f"delete from dwh._consumed_loads where load_id in ({loads})".encode(), [newer])
    result = dbt.check_layer("raw", pipeline.warehouse)
    assert [dbt.describe(failure) for failure in result.failures if failure.status != "warn"] == []

    with psycopg.connect(pipeline.warehouse.conninfo()) as conn:  # the same days, spoilt
        cents = "monthly_price = 100 * monthly_price"
        conn.execute(f"update raw.subscriptions set {cents} where _extract_date >= %s".encode(), [newer])
        changes = "user_id = 'x', duration_seconds = 1000 * duration_seconds"
        conn.execute(f"update raw.app_events set {changes} where event_timestamp >= %s".encode(), [newer])
    checks = ("means_hold_subscriptions", "means_hold_app_events", "users_hold_app_events", "users_hold_events")
    found = failing(pipeline, *checks)
    assert {name: len(rows) for name, rows in found.items()} == {
        "means_hold_subscriptions": 1,  # the first of three
        "means_hold_app_events": 15,
        "users_hold_app_events": 15,
    }
