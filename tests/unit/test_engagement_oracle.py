"""The oracle of engagement against cases worked out by hand: the log, and users active, new, gone and retained."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from golden.engagement_log import period_end, period_start, read_landing
from golden.engagement_oracle import Expected, GrowthAccounting, RetentionCohorts, calculate
from support.engagement_rows import Landing, day


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path)


def growth(expected: Expected, period_type: str, product: str = "all", country: str = "all") -> list[GrowthAccounting]:
    key = (period_type, product, country)
    return [row for row in expected.growth_accounting if (row.period_type, row.product, row.country) == key]


def cohorts(expected: Expected, period_type: str) -> list[RetentionCohorts]:
    key = (period_type, "all", "all")
    return [row for row in expected.retention_cohorts if (row.period_type, row.product, row.country) == key]


def test_no_files_give_no_rows(tmp_path: Path) -> None:
    assert calculate(tmp_path) == Expected([], [], [], [], [], [], [])


def test_copies_collapse_after_trimming_and_near_copies_do_not(landing: Landing) -> None:
    landing.miles("2024-01-01 12:00:00", "u", miles_amount="1.50", country="DE")
    landing.miles("2024-01-01T14:00:00+02:00", " u\t", miles_amount="1.5", country="\nDE ")
    landing.miles("2024-01-01 12:00:00", "U", miles_amount="1.5", country="DE")
    landing.miles("2024-01-01 12:00:00", "u", miles_amount="1.5", country="DE", utm_source="mail")
    landing.app("2024-01-01 12:00:00", "u", event_id="a")
    landing.app("2024-01-01 12:00:00", "u", event_id="a ")
    landing.app("2024-01-01 12:00:00", "u", event_id="b")
    assert len(read_landing(landing.write()).events) == 5


def test_parquet_says_what_csv_says(landing: Landing) -> None:
    noon = datetime(2024, 1, 1, 12, tzinfo=UTC)
    landing.app(noon, "u", event_id="a", duration_seconds="1.50", device=" ios ")
    path = landing.write() / "app_events" / "event_date=2024-01-01" / "part.parquet"
    path.parent.mkdir()
    columns = {name: pa.array([None], pa.string()) for name in ("session_id", "country")}
    columns |= {name: [value] for name, value in landing.rows["app_events"][0].items()}
    pq.write_table(pa.table({**columns, "event_timestamp": [noon], "duration_seconds": [Decimal("1.5")]}), path)
    (event,) = read_landing(landing.folder).events
    assert (event.platform, event.duration_seconds, event.country) == ("ios", Decimal("1.5"), None)


@pytest.mark.parametrize(
    ("day", "week", "month_end"),
    [
        (date(2024, 12, 29), date(2024, 12, 23), date(2025, 1, 1)),
        (date(2024, 12, 31), date(2024, 12, 30), date(2025, 1, 1)),  # the ISO week of the new year
        (date(2025, 1, 5), date(2024, 12, 30), date(2025, 2, 1)),
        (date(2024, 2, 29), date(2024, 2, 26), date(2024, 3, 1)),
    ],
)
def test_weeks_start_on_monday_also_across_years_and_months_end_with_theirs(
    day: date, week: date, month_end: date
) -> None:
    assert period_start("week", day) == week
    assert period_end("week", week) == week + timedelta(days=7)
    assert period_end("month", period_start("month", day)) == month_end


def test_a_day_ends_at_midnight_utc_and_rows_without_a_user_stretch_the_span(landing: Landing) -> None:
    landing.miles("2024-01-01 23:59:59.999999", "before")
    landing.miles("2024-01-03 02:00:00+02:00", "at")
    landing.miles("2023-12-31 12:00:00")
    landing.app("2024-01-05 12:00:00", "\f ")
    totals = {
        row.period_start: (row.active_user_count, row.event_count)
        for row in landing.calculate().active_users
        if row.period_type == "day" and (row.product, row.country, row.platform, row.category) == ("all",) * 4
    }
    assert totals == {
        date(2023, 12, 31): (0, 1),
        date(2024, 1, 1): (1, 1),
        date(2024, 1, 2): (0, 0),
        date(2024, 1, 3): (1, 1),
        date(2024, 1, 4): (0, 0),
        date(2024, 1, 5): (0, 1),
    }


def test_slices_need_a_user_and_count_all_their_events(landing: Landing) -> None:
    landing.miles(day(0), "u", country="DE", transaction_category="hotel", platform="web")
    landing.miles(day(0), country="DE", miles_amount="1")
    landing.app(day(0), "v", country="DE", device="web")
    landing.app(day(0), country="FR", product="messenger")
    found = {
        (row.product, row.country, row.platform, row.category): (row.active_user_count, row.event_count)
        for row in landing.calculate().active_users
        if row.period_type == "day"
    }
    assert found == {
        ("all", "all", "all", "all"): (2, 4),
        ("all", "DE", "all", "all"): (2, 3),
        ("all", "all", "web", "all"): (2, 2),
        ("all", "all", "all", "hotel"): (1, 1),
        ("all", "all", "all", "(none)"): (1, 3),
        ("all", "DE", "all", "hotel"): (1, 1),
        ("all", "DE", "all", "(none)"): (1, 2),
        ("miles", "all", "all", "all"): (1, 2),
        ("miles", "DE", "all", "all"): (1, 2),
        ("miles", "all", "web", "all"): (1, 1),
        ("miles", "all", "all", "hotel"): (1, 1),
        ("miles", "DE", "all", "hotel"): (1, 1),
        ("threads", "all", "all", "all"): (1, 1),
        ("threads", "DE", "all", "all"): (1, 1),
        ("threads", "all", "web", "all"): (1, 1),
        ("threads", "all", "all", "(none)"): (1, 1),
        ("threads", "DE", "all", "(none)"): (1, 1),
    }


def test_a_period_is_complete_when_the_span_holds_all_of_it(landing: Landing) -> None:
    landing.miles("2024-01-02", "u")  # a Tuesday
    landing.miles("2024-02-29", "u")  # a Thursday
    rows = [row for row in landing.calculate().active_users if row.product == row.category == "all"]
    months = {row.period_start.month: row.is_complete for row in rows if row.period_type == "month"}
    weeks = [row.is_complete for row in rows if row.period_type == "week" and row.platform == row.country == "all"]
    assert months == {1: False, 2: True}
    assert weeks == [False, *[True] * 7, False]
    assert all(row.is_complete for row in rows if row.period_type == "day")


def test_windows_end_with_the_day_and_drop_what_is_older(landing: Landing) -> None:
    landing.days("u", 0)
    landing.days("v", 29, 31)
    rows = {(row.as_of_date, row.product): row for row in landing.calculate().rolling_active_users}

    def counts(number: int) -> tuple[int, ...]:
        row = rows[day(number), "all"]
        return (row.active_users_1d, row.active_users_7d, row.active_users_28d, row.active_users_30d)

    assert [counts(number) for number in (0, 6, 7, 27, 28)] == [
        *((1, 1, 1, 1), (0, 1, 1, 1), (0, 0, 1, 1), (0, 0, 1, 1), (0, 0, 0, 1))
    ]
    assert [counts(number) for number in (29, 30, 31)] == [(1, 1, 1, 2), (0, 1, 1, 1), (1, 1, 1, 1)]
    flags = [
        (rows[day(n), "all"].is_complete_window_28d, rows[day(n), "all"].is_complete_window_30d) for n in range(32)
    ]
    assert flags == [(n >= 27, n >= 29) for n in range(32)]
    assert (rows[day(29), "all"].stickiness_28d, rows[day(29), "all"].stickiness_30d) == (1, Fraction(1, 2))
    assert rows[day(28), "all"].stickiness_28d is None


def test_a_product_has_a_window_only_while_it_has_a_user_in_it(landing: Landing) -> None:
    landing.days("u", 0, 40)
    landing.app(day(2), "u")
    landing.app(day(39))
    of_threads = [row.as_of_date for row in landing.calculate().rolling_active_users if row.product == "threads"]
    assert of_threads == [day(number) for number in range(2, 32)]


def test_growth_accounts_for_everyone_once(landing: Landing) -> None:
    landing.days("stays", 0, 1, 2)
    landing.days("returns", 0, 2)
    landing.days("leaves", 0, 1)
    landing.days("comes", 2)
    first, second, third = growth(landing.calculate(), "day")

    def counts(row: GrowthAccounting) -> tuple[int, ...]:
        return (
            *(row.active_user_count, row.new_user_count, row.retained_user_count),
            *(row.resurrected_user_count, row.churned_user_count),
        )

    assert counts(first) == (3, 3, 0, 0, 0)
    assert (first.quick_ratio, first.gross_retention_rate, first.net_churn_rate) == (None, None, None)
    assert counts(second) == (2, 0, 2, 0, 1)
    assert (second.quick_ratio, second.gross_retention_rate, second.net_churn_rate) == (
        *(0, Fraction(2, 3), Fraction(1, 3)),
    )
    assert counts(third) == (3, 1, 1, 1, 1)
    assert (third.quick_ratio, third.gross_retention_rate, third.net_churn_rate) == (2, Fraction(1, 2), 0)


def test_churn_is_booked_once_in_the_next_period_and_never_past_the_newest_day(landing: Landing) -> None:
    landing.days("u", 0)
    landing.days("v", 0, 14)
    weeks = growth(landing.calculate(), "week")
    assert [(row.period_start, row.churned_user_count) for row in weeks] == [(day(0), 0), (day(7), 2), (day(14), 0)]
    assert [row.resurrected_user_count for row in weeks] == [0, 0, 1]
    assert [row.is_complete for row in weeks] == [True, True, False]
    days = growth(landing.calculate(), "day")
    assert [row.churned_user_count for row in days] == [0, 2, *[0] * 13]


def test_more_who_return_than_leave_is_negative_net_churn(landing: Landing) -> None:
    landing.days("stays", 0, 1, 2)
    landing.days("returns", 0, 2)
    assert growth(landing.calculate(), "day")[2].net_churn_rate == -1


def test_first_ever_and_churn_in_a_slice_look_at_the_slice_only(landing: Landing) -> None:
    landing.days("u", 0, country="DE")
    landing.days("u", 1, country="FR")
    landing.app(day(1), "u", country="FR")
    landing.app(day(3), country="FR")
    expected = landing.calculate()
    assert [row.new_user_count for row in growth(expected, "day")] == [1, 0, 0, 0]
    assert [(row.period_start, row.new_user_count) for row in growth(expected, "day", "threads")] == [
        *((day(1), 1), (day(2), 0))
    ]
    assert [(row.period_start, row.churned_user_count) for row in growth(expected, "day", country="DE")] == [
        *((day(0), 0), (day(1), 1))
    ]
    assert [(row.period_start, row.new_user_count) for row in growth(expected, "day", country="FR")] == [
        *((day(1), 1), (day(2), 0))
    ]
    assert {(row.product, row.country) for row in expected.growth_accounting} == {
        *(("all", "all"), ("miles", "all"), ("threads", "all"), ("all", "DE"), ("all", "FR"))
    }


def test_cohorts_have_every_offset_up_to_the_newest_period(landing: Landing) -> None:
    landing.days("u", 0, 14)
    landing.days("v", 2)
    landing.days("w", 14, 22)  # a Tuesday: the fourth week has not ended
    found = [
        (row.cohort_start, row.period_offset, row.cohort_size, row.retained_user_count, row.retention_rate)
        for row in cohorts(landing.calculate(), "week")
    ]
    assert found == [
        (day(0), 0, 2, 2, 1),
        (day(0), 1, 2, 0, 0),
        (day(0), 2, 2, 1, Fraction(1, 2)),
        (day(0), 3, 2, 0, 0),
        (day(14), 0, 1, 1, 1),
        (day(14), 1, 1, 1, 1),
    ]


def test_a_cell_is_complete_when_its_period_has_ended_and_a_cohort_when_all_of_it_is_loaded(landing: Landing) -> None:
    landing.days("u", 1)  # a Tuesday, so that the first week is not whole
    landing.days("v", 13, 15)  # the second Sunday, and a Tuesday
    flags = [(row.is_complete, row.is_complete_cohort) for row in cohorts(landing.calculate(), "week")]
    assert flags == [(True, False), (True, False), (False, False), (True, True), (False, True)]
    (month,) = cohorts(landing.calculate(), "month")
    assert (month.cohort_start, month.cohort_size, month.is_complete, month.is_complete_cohort) == (
        *(date(2024, 1, 1), 2, False, False),
    )
