"""The oracle against cases worked out by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from golden.oracle import (
    DEFAULT_RULES,
    AcquisitionDay,
    Attribution,
    ChannelAttribution,
    Expected,
    Rule,
    User,
    calculate,
    parse_time,
    percentile,
    rounded,
)

REGISTERED = datetime(2024, 2, 10, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def ago(**duration: float) -> datetime:
    return REGISTERED - timedelta(**duration)


class Landing:
    """A landing folder that grows by one row at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sessions: list[str] = []
        self.conversions: list[str] = []

    def session(self, started_at: datetime, medium: str, is_paid: bool = False, user: int = 1) -> None:
        self.sessions.append(f"{user},{started_at.isoformat(' ')},{str(is_paid).lower()},{medium}")

    def registration(self, registered_at: datetime = REGISTERED, user: int = 1) -> None:
        self.conversions.append(f"{user},{registered_at.isoformat(' ')}")

    def calculate(self, rules: tuple[Rule, ...] = DEFAULT_RULES) -> Expected:
        for feed, header, rows in (
            ("sessions", "userid,time_started,is_paid,medium", self.sessions),
            ("conversions", "userid,registration_time", self.conversions),
        ):
            (self.folder / feed).mkdir(exist_ok=True)
            (self.folder / feed / "all.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return calculate(self.folder, rules)

    def only(self, rules: tuple[Rule, ...] = DEFAULT_RULES) -> Attribution:
        (attribution,) = self.calculate(rules).registrations
        return attribution


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path)


@pytest.mark.parametrize(
    ("medium", "hours", "label"),
    [("PAID SEARCH", 3, "PAID_SEARCH"), ("IMPRESSION", 1, "PAID_IMPRESSION"), ("ORGANIC SEARCH", 12, "ORGANIC_SEARCH")],
)
def test_a_window_includes_its_boundary_and_nothing_beyond(
    landing: Landing, medium: str, hours: int, label: str
) -> None:
    landing.registration(user=1)
    landing.session(ago(hours=hours), medium, user=1)
    landing.registration(user=2)
    landing.session(ago(hours=hours) - MICROSECOND, medium, user=2)
    inside, outside = landing.calculate().registrations
    assert (inside.label, inside.age_hours, inside.touch_count) == (label, Decimal(hours), 1)
    assert (outside.label, outside.session, outside.age_hours) == ("UNATTRIBUTED", None, None)
    assert (outside.unattributed_reason, outside.touch_count) == ("only_sessions_outside_window", 1)


def test_a_session_at_the_instant_of_the_registration_counts_and_one_after_does_not(landing: Landing) -> None:
    landing.registration(user=1)
    landing.session(REGISTERED, "IMPRESSION", user=1)
    landing.registration(user=2)
    landing.session(REGISTERED + MICROSECOND, "IMPRESSION", user=2)
    at, after = landing.calculate().registrations
    assert (at.label, at.age_hours) == ("PAID_IMPRESSION", Decimal(0))
    assert (after.label, after.unattributed_reason, after.touch_count) == ("UNATTRIBUTED", "only_sessions_after", 0)


def test_priority_beats_recency(landing: Landing) -> None:
    landing.registration()
    landing.session(ago(hours=2), "PAID SEARCH")
    landing.session(ago(minutes=30), "IMPRESSION")
    landing.session(ago(minutes=1), "DIRECT")
    won = landing.only()
    assert (won.label, won.age_hours, won.touch_count) == ("PAID_SEARCH", Decimal(2), 3)


def test_an_expired_priority_gives_way(landing: Landing) -> None:
    landing.registration()
    landing.session(ago(hours=4), "PAID SEARCH")
    landing.session(ago(days=40), "DIRECT")
    won = landing.only()
    assert (won.label, won.age_hours) == ("DIRECT", Decimal(960))


def test_the_latest_session_of_the_winning_rule_wins(landing: Landing) -> None:
    landing.registration()
    for minutes in (170, 20, 90):
        landing.session(ago(minutes=minutes), "PAID SEARCH", is_paid=True)
    won = landing.only()
    assert won.session is not None
    assert (won.session.started_at, won.age_hours) == (ago(minutes=20), Decimal("0.333333"))


def test_ties_go_to_the_last_by_channel_then_is_paid_with_null_first(landing: Landing) -> None:
    landing.registration(user=1)
    for medium in ("SOCIAL", "", "EMAIL"):
        landing.session(ago(hours=1), medium, user=1)
    landing.registration(user=2)
    for is_paid in (True, False):
        landing.session(ago(hours=1), "EMAIL", is_paid, user=2)
    channel, paid = (attribution.session for attribution in landing.calculate().registrations)
    assert channel is not None
    assert paid is not None
    assert (channel.channel, paid.is_paid) == ("SOCIAL", True)


@pytest.mark.parametrize(("medium", "channel"), [("", None), ("  ", None), ("TikTok", "TIKTOK"), (" email ", "EMAIL")])
def test_empty_and_unknown_channels_are_others(landing: Landing, medium: str, channel: str | None) -> None:
    landing.registration()
    landing.session(ago(days=400), medium)
    won = landing.only()
    assert won.session is not None
    assert (won.label, won.session.channel) == ("OTHERS", channel)


def test_an_expired_named_channel_is_not_others(landing: Landing) -> None:
    landing.registration()
    landing.session(ago(hours=2), "IMPRESSION", is_paid=True)
    landing.session(ago(days=2), " organic Search")
    assert landing.only().unattributed_reason == "only_sessions_outside_window"


def test_no_session_at_all(landing: Landing) -> None:
    landing.registration(user=1)
    landing.session(ago(hours=1), "DIRECT", user=2)
    lost = landing.only()
    assert (lost.label, lost.unattributed_reason, lost.touch_count) == ("UNATTRIBUTED", "no_session", 0)


def test_duplicates_collapse_and_are_counted(landing: Landing) -> None:
    for medium in ("DIRECT", "DIRECT", " direct"):
        landing.session(ago(hours=1), medium)
    landing.session(ago(hours=1), "DIRECT", is_paid=True)  # another session: is_paid differs
    landing.registration()
    landing.registration()
    expected = landing.calculate()
    assert (expected.landed.session_row_count, len(expected.landed.sessions)) == (4, 2)
    assert (expected.landed.registration_row_count, len(expected.landed.registrations)) == (2, 1)
    assert expected.registrations[0].touch_count == 2


def test_two_registrations_of_a_user_are_attributed_each_on_its_own(landing: Landing) -> None:
    landing.registration()
    landing.registration(REGISTERED + timedelta(hours=5))
    landing.session(ago(hours=1), "PAID SEARCH")
    landing.session(REGISTERED + timedelta(hours=2), "ORGANIC SEARCH")
    first, second = landing.calculate().registrations
    assert (first.label, first.touch_count) == ("PAID_SEARCH", 1)
    assert (second.label, second.touch_count, second.age_hours) == ("ORGANIC_SEARCH", 2, Decimal(3))


def test_rules_can_be_edited(landing: Landing) -> None:
    landing.registration()
    landing.session(ago(minutes=10), "IMPRESSION", is_paid=False)
    landing.session(ago(minutes=50), "IMPRESSION", is_paid=True)
    rules = (
        Rule(2, None, None, "REST"),
        Rule(1, "impression", 1, "PAID_IMPRESSION", is_paid=True),
        Rule(3, "DIRECT", None, "NEVER"),
    )
    won = landing.only(rules)
    assert won.session is not None
    assert (won.label, won.session.started_at) == ("PAID_IMPRESSION", ago(minutes=50))


def test_channel_attribution_shares_are_of_the_month(landing: Landing) -> None:
    for user, registered_at in enumerate([REGISTERED, REGISTERED, REGISTERED, datetime(2024, 3, 1, tzinfo=UTC)], 1):
        landing.registration(registered_at, user)
    landing.session(ago(minutes=1), "DIRECT", user=1)
    february, march = date(2024, 2, 1), date(2024, 3, 1)
    assert landing.calculate().channel_attribution == [
        ChannelAttribution("rule_based", "DIRECT", february, 1, Decimal("0.333333")),
        ChannelAttribution("rule_based", "UNATTRIBUTED", february, 2, Decimal("0.666667")),
        ChannelAttribution("rule_based", "UNATTRIBUTED", march, 1, Decimal(1)),
    ]


def test_channel_conversion_measures_from_the_first_session_to_the_next_registration(landing: Landing) -> None:
    # User 1: first email 10 h before; user 2: 2 h before the second registration, after the first; user 3 never.
    landing.session(ago(hours=10), "EMAIL", user=1)
    landing.session(ago(hours=1), "email", user=1)
    landing.session(ago(hours=2), "EMAIL", user=2)
    landing.session(ago(hours=2), "EMAIL", user=3)
    landing.session(ago(hours=2), "", user=3)
    landing.registration(user=1)
    landing.registration(ago(hours=3), user=2)
    landing.registration(user=2)
    none, email = landing.calculate().channel_conversion
    assert (none.channel, none.converted_user_count, none.hours_to_conversion_avg) == ("(none)", 0, None)
    assert (email.session_count, email.touched_user_count, email.converted_user_count) == (4, 3, 2)
    assert (email.conversion_rate, email.hours_to_conversion_avg) == (Decimal("0.666667"), Decimal(6))
    assert (email.hours_to_conversion_median, email.hours_to_conversion_p90) == (Decimal(6), Decimal("9.2"))


def test_channel_conversion_takes_the_first_registration_also_at_the_very_instant(landing: Landing) -> None:
    landing.session(REGISTERED, "EMAIL", user=1)
    landing.registration(user=1)
    landing.session(ago(hours=1), "EMAIL", user=2)
    landing.registration(user=2)
    landing.registration(REGISTERED + timedelta(hours=7), user=2)
    (email,) = landing.calculate().channel_conversion
    assert (email.converted_user_count, email.hours_to_conversion_avg) == (2, Decimal("0.5"))


def test_acquisition_daily_books_registrations_under_the_winning_medium(landing: Landing) -> None:
    landing.session(ago(days=1), "EMAIL", is_paid=True)
    landing.session(ago(days=2), "", user=2)
    landing.registration(user=1)
    landing.registration(user=2)
    landing.registration(user=3)
    assert landing.calculate().acquisition_daily == [
        AcquisitionDay(date(2024, 2, 8), "(none)", 1, 0, 0),
        AcquisitionDay(date(2024, 2, 9), "EMAIL", 1, 1, 0),
        AcquisitionDay(date(2024, 2, 10), "(none)", 0, 0, 1),
        AcquisitionDay(date(2024, 2, 10), "EMAIL", 0, 0, 1),
        AcquisitionDay(date(2024, 2, 10), "UNATTRIBUTED", 0, 0, 1),
    ]


def test_dim_users_spans_sessions_and_registrations(landing: Landing) -> None:
    landing.session(ago(days=3), "DIRECT")
    landing.registration()
    landing.registration(user=2)
    domains = ("acquisition",)
    assert landing.calculate().dim_users == [
        User("customer", "1", domains, date(2024, 2, 7), date(2024, 2, 10)),
        User("customer", "2", domains, date(2024, 2, 10), date(2024, 2, 10)),
    ]


def test_times_without_an_offset_are_utc_and_offsets_are_honoured() -> None:
    expected = datetime(2024, 1, 1, 23, 30, tzinfo=UTC)
    texts = ("2024-01-01 23:30:00", "2024-01-02 01:30:00+02", "2024-01-01T23:30:00.000Z")
    assert [parse_time(text) for text in texts] == [expected] * 3


def test_percentiles_are_continuous_and_rounding_goes_half_up() -> None:
    assert percentile([4, 1, 2, 3], Fraction(1, 2)) == Fraction(5, 2)
    assert percentile([7], Fraction(9, 10)) == 7
    assert [rounded(Fraction(n, 2_000_000)) for n in (1, 3)] == [Decimal("0.000001"), Decimal("0.000002")]
