"""The oracle of engagement against cases worked out by hand: single users, their habits and their scores."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from golden.engagement_oracle import Expected, UserLifetimes, percent_ranks, rounded
from support.engagement_rows import Landing, day


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path)


def lifetimes(expected: Expected, product: str) -> dict[str, UserLifetimes]:
    return {row.user_id: row for row in expected.user_lifetimes if row.product == product}


def test_the_curve_is_of_the_newest_day_and_of_month_ends(landing: Landing) -> None:
    landing.days("u", *range(3, 31))  # 28 days, to the end of January
    landing.days("v", 3, 30, 30)
    landing.app(day(0), "w")
    landing.app(day(60), product="messenger")  # March, and nobody's: the end of February has nobody either
    rows = landing.calculate().power_user_curve
    found = {
        (row.as_of_date, row.product, row.active_day_count): (row.user_count, row.user_rate)
        for row in rows
        if row.user_count
    }
    half = Fraction(1, 2)
    assert found == {
        **{(date(2024, 1, 31), product, count): (1, half) for product in ("all", "miles") for count in (2, 28)}
    }
    as_of = {(row.as_of_date, row.product): row.user_rate for row in rows if row.active_day_count == 1}
    assert as_of == {
        (date(2024, 1, 31), "all"): 0,
        (date(2024, 1, 31), "miles"): 0,
        (date(2024, 2, 29), "all"): None,
        (date(2024, 3, 1), "all"): None,
    }
    assert len(rows) == 4 * 28


def test_usage_counts_sessions_by_product_and_hours(landing: Landing) -> None:
    landing.app(day(0), "u", session_id="s", duration_seconds="1800.5")
    landing.app(day(0), "v", session_id=" s ", duration_seconds="")
    landing.app(day(0), "v", product="messenger", session_id="s", duration_seconds="-0.5")
    landing.miles(day(0))
    landing.miles(day(1), "u")
    landing.miles(day(2))
    found = {(row.activity_date, row.product): row for row in landing.calculate().usage_daily}
    assert found.keys() == {
        *((day(0), "all"), (day(0), "threads"), (day(0), "messenger")),
        *((day(1), "all"), (day(1), "miles"), (day(2), "all")),
    }  # a product only where it has a user
    total = found[day(0), "all"]
    assert (total.event_count, total.session_count, total.active_user_count) == (4, 2, 2)
    assert (total.duration_hours, found[day(0), "threads"].duration_hours) == (Decimal("0.5"), Decimal("0.5001388889"))
    nobody = found[day(2), "all"]
    assert (nobody.event_count, nobody.session_count, nobody.duration_hours, nobody.active_user_count) == (1, 0, 0, 0)


def test_weekly_averages_and_growth_need_the_days_before(landing: Landing) -> None:
    landing.days("u", 0, 1, 7)
    landing.days("v", 0, 8)
    landing.days("w", 8)
    rows = [row for row in landing.calculate().usage_daily if row.product == "all"]
    averages = [row.active_user_count_7d_average for row in rows]
    assert averages == [*[None] * 6, Fraction(3, 7), Fraction(2, 7), Fraction(3, 7)]
    assert [row.active_user_growth_rate_7d for row in rows] == [*[None] * 7, Fraction(-1, 2), 1]


def test_lifetimes_cover_all_history(landing: Landing) -> None:
    landing.miles("2024-01-01 10:00", "u", miles_amount="0.1")
    landing.miles("2024-01-01 11:00", "u", miles_amount="-0.30")
    landing.app(day(50), "u")
    landing.app(day(51), "v")
    landing.app(day(52))
    expected = landing.calculate()
    found = lifetimes(expected, "all")["u"]
    assert (found.first_event_date, found.last_event_date, found.active_day_count) == (day(0), day(50), 2)
    assert (found.event_count, found.amount_total) == (3, Decimal("-0.2"))
    assert lifetimes(expected, "threads")["u"].amount_total is None
    assert (lifetimes(expected, "all").keys(), lifetimes(expected, "miles").keys()) == ({"u", "v"}, {"u"})


def test_scores_compare_the_users_of_the_last_28_days(landing: Landing) -> None:
    landing.days("past", 0, 1, 2, 3)
    landing.days("most", 4, 30, 31, event_type="miles_redeemed")
    landing.days("most", 30)
    landing.days("some", 31)
    landing.days("less", 3, 4)
    landing.days("less", 4, event_type=" ")
    landing.app(day(31), "some", event_type="miles_earned")
    expected = landing.calculate()
    # Days 4 to 31 count. Days, events, types of miles: most 3, 4, 2; some 1, 1, 1; less 1, 2, 1, for blank is no type.
    scores = {user: row.engagement_score for user, row in lifetimes(expected, "miles").items()}
    assert scores == {"past": None, "most": 100, "some": 0, "less": Fraction(50, 3)}
    # Of all products some has 2 events as well, of one type.
    scores = {user: row.engagement_score for user, row in lifetimes(expected, "all").items()}
    assert scores == {"past": None, "most": 100, "some": 0, "less": 0}
    assert {user: row.engagement_score for user, row in lifetimes(expected, "threads").items()} == {"some": 0}


def test_percent_ranks_of_equals_are_equal() -> None:
    assert percent_ranks({"a": 5, "b": 5, "c": 1, "d": 9}) == {"a": Fraction(1, 3), "b": Fraction(1, 3), "c": 0, "d": 1}
    assert percent_ranks({"a": 5}) == {"a": 0}


def test_rounding_goes_away_from_zero() -> None:
    assert [rounded(Fraction(sign, 20), 1) for sign in (1, -1, 0)] == [Decimal("0.1"), Decimal("-0.1"), 0]
