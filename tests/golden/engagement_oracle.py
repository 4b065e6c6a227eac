"""An independent calculation of the engagement marts: the metric definitions in plain Python.

It shares no code and no SQL with the warehouse. It reads landed files of events and app_events and gives the rows that
the marts must hold, column for column. Users are in sets, rates are fractions; nothing is rounded but hours, to ten
places, halves up.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from golden.engagement_log import ALL, DAY, NONE, Event, Log, period_start, read_landing

PERIOD_TYPES = ("day", "week", "month")
SCORE_DAYS = CURVE_DAYS = 28
Rate = Fraction | None  # None: nothing to divide by


@dataclass(frozen=True, slots=True)
class ActiveUsers:
    """A row of mart.active_users."""

    period_type: str
    period_start: date
    product: str
    country: str
    platform: str
    category: str
    active_user_count: int
    event_count: int
    is_complete: bool


@dataclass(frozen=True, slots=True)
class RollingActiveUsers:
    """A row of mart.rolling_active_users."""

    as_of_date: date
    product: str
    active_users_1d: int
    active_users_7d: int
    active_users_28d: int
    active_users_30d: int
    stickiness_7d: Rate
    stickiness_28d: Rate
    stickiness_30d: Rate
    is_complete_window_28d: bool
    is_complete_window_30d: bool


@dataclass(frozen=True, slots=True)
class GrowthAccounting:
    """A row of mart.growth_accounting."""

    period_type: str
    period_start: date
    product: str
    country: str
    active_user_count: int
    new_user_count: int
    retained_user_count: int
    resurrected_user_count: int
    churned_user_count: int
    quick_ratio: Rate
    gross_retention_rate: Rate
    net_churn_rate: Rate
    is_complete: bool


@dataclass(frozen=True, slots=True)
class RetentionCohorts:
    """A row of mart.retention_cohorts."""

    period_type: str
    cohort_start: date
    product: str
    country: str
    period_offset: int
    cohort_size: int
    retained_user_count: int
    retention_rate: Rate
    is_complete: bool
    is_complete_cohort: bool


@dataclass(frozen=True, slots=True)
class PowerUserCurve:
    """A row of mart.power_user_curve."""

    as_of_date: date
    product: str
    active_day_count: int
    user_count: int
    user_rate: Rate


@dataclass(frozen=True, slots=True)
class UsageDaily:
    """A row of mart.usage_daily."""

    activity_date: date
    product: str
    event_count: int
    session_count: int
    duration_hours: Decimal
    active_user_count: int
    active_user_count_7d_average: Rate
    active_user_growth_rate_7d: Rate


@dataclass(frozen=True, slots=True)
class UserLifetimes:
    """A row of mart.user_lifetimes."""

    product: str
    user_id: str
    first_event_date: date
    last_event_date: date
    active_day_count: int
    event_count: int
    amount_total: Decimal | None
    engagement_score: Rate


@dataclass(frozen=True, slots=True)
class Expected:
    """Everything that the marts must show for the landed files."""

    active_users: list[ActiveUsers]
    rolling_active_users: list[RollingActiveUsers]
    growth_accounting: list[GrowthAccounting]
    retention_cohorts: list[RetentionCohorts]
    power_user_curve: list[PowerUserCurve]
    usage_daily: list[UsageDaily]
    user_lifetimes: list[UserLifetimes]


def calculate(landing: Path) -> Expected:
    """All marts for the files below ``landing``."""
    log = read_landing(landing)
    return Expected(
        active_users(log),
        rolling_active_users(log),
        growth_accounting(log),
        retention_cohorts(log),
        power_user_curve(log),
        usage_daily(log),
        user_lifetimes(log),
    )


def rate(part: int | Fraction, whole: int | Fraction) -> Rate:
    """Part of the whole; None where the whole is nothing."""
    return Fraction(part) / whole if whole else None


def active_users(log: Log) -> list[ActiveUsers]:
    """Users and events per period and slice; the total of every period, a slice where it has a user."""
    total = (ALL, ALL, ALL, ALL)
    rows = []
    for period_type in PERIOD_TYPES:
        users: dict[Any, set[str]] = {(start, total): set() for start in log.periods(period_type)}
        events: Counter[Any] = Counter()
        for event in log.events:
            start = period_start(period_type, event.day)
            country, platform, category = event.country or NONE, event.platform or NONE, event.category or NONE
            for product in (ALL, event.product or NONE):
                for values in (
                    (ALL, ALL, ALL),
                    (country, ALL, ALL),
                    (ALL, platform, ALL),
                    (ALL, ALL, category),
                    (country, ALL, category),
                ):
                    key = (start, (product, *values))
                    events[key] += 1
                    if event.user_id is not None:
                        users.setdefault(key, set()).add(event.user_id)
        for (start, labels), active in users.items():
            is_complete = log.is_complete(period_type, start)
            rows.append(ActiveUsers(period_type, start, *labels, len(active), events[start, labels], is_complete))
    return rows


def rolling_active_users(log: Log) -> list[RollingActiveUsers]:
    """Users of the last 1, 7, 28 and 30 days: of all products each day, of one where its 30 days have a user."""
    rows = []
    days = log.days
    for product in log.products:
        users_on = _users_by_day(log, product)
        for day in days:
            counts = [len(set().union(*_last_days(users_on, day, length).values())) for length in (1, 7, 28, 30)]
            if product == ALL or counts[-1]:
                stickiness = [rate(counts[0], count) for count in counts[1:]]
                is_complete = [day - (length - 1) * DAY >= days[0] for length in (28, 30)]
                rows.append(RollingActiveUsers(day, product, *counts, *stickiness, *is_complete))
    return rows


def growth_accounting(log: Log) -> list[GrowthAccounting]:
    """Who came, stayed, came back and left: the total of every period, a slice where anyone is active or left."""
    rows = []
    for period_type in PERIOD_TYPES:
        for labels, users_in in _users_by_slice(log, period_type).items():
            ever: set[str] = set()
            before: set[str] = set()
            for start in log.periods(period_type):
                now = users_in.get(start, set())
                new, retained, churned = now - ever, now & before, before - now
                resurrected = (now & ever) - before
                if labels == (ALL, ALL) or now or churned:
                    rows.append(
                        GrowthAccounting(
                            *(period_type, start, *labels),
                            *map(len, (now, new, retained, resurrected, churned)),
                            rate(len(new) + len(resurrected), len(churned)),
                            rate(len(retained), len(before)),
                            rate(len(churned) - len(resurrected), len(before)),
                            log.is_complete(period_type, start),
                        )
                    )
                ever |= now
                before = now
    return rows


def retention_cohorts(log: Log) -> list[RetentionCohorts]:
    """Of the users who came in a week or month, how many were active in it and in each one since."""
    rows = []
    for period_type in ("week", "month"):
        for labels, users_in in _users_by_slice(log, period_type).items():
            ever: set[str] = set()
            for cohort_start in log.periods(period_type):
                cohort = users_in.get(cohort_start, set()) - ever
                ever |= cohort
                later = [start for start in log.periods(period_type) if start >= cohort_start]
                for offset, start in enumerate(later if cohort else []):
                    retained = len(cohort & users_in.get(start, set()))
                    rows.append(
                        RetentionCohorts(
                            *(period_type, cohort_start, *labels, offset),
                            *(len(cohort), retained, rate(retained, len(cohort))),
                            log.has_ended(period_type, start),
                            log.is_complete(period_type, cohort_start),
                        )
                    )
    return rows


def power_user_curve(log: Log) -> list[PowerUserCurve]:
    """How many users were active on 1, 2, … 28 of the last 28 days, on the newest day and at each month's end."""
    rows = []
    days = log.days
    for product in log.products:
        users_on = _users_by_day(log, product)
        for as_of in [day for day in days if day == days[-1] or (day + DAY).day == 1]:
            window = _last_days(users_on, as_of, CURVE_DAYS).values()
            active_days = Counter(user for users in window for user in users)
            users = Counter(active_days.values())
            if product == ALL or active_days:
                for count in range(1, CURVE_DAYS + 1):
                    share = rate(users[count], len(active_days))
                    rows.append(PowerUserCurve(as_of, product, count, users[count], share))
    return rows


def usage_daily(log: Log) -> list[UsageDaily]:
    """Events, sessions, hours and users: of all products every day, of one on days on which it has a user."""
    rows = []
    days = log.days
    for product in log.products:
        users_on = _users_by_day(log, product)
        active = {day: len(users_on.get(day, set())) for day in days}
        for day in days:
            if product != ALL and not active[day]:
                continue
            events = [event for event in log.of_product(product) if event.day == day]
            sessions = {(event.product, event.session_id) for event in events if event.session_id is not None}
            seconds = sum((Fraction(event.duration_seconds or 0) for event in events), Fraction(0))
            week = [active[day - number * DAY] for number in range(7) if day - number * DAY in active]
            before = active.get(day - 7 * DAY, 0)
            rows.append(
                UsageDaily(
                    *(day, product, len(events), len(sessions), rounded(seconds / 3600), active[day]),
                    Fraction(sum(week), 7) if len(week) == 7 else None,
                    rate(active[day] - before, before),
                )
            )
    return rows


def user_lifetimes(log: Log) -> list[UserLifetimes]:
    """Everyone's whole history, in all products and in each; the score looks at the last 28 days."""
    rows = []
    for product in log.products:
        events_of: dict[str, list[Event]] = defaultdict(list)
        recent_of: dict[str, list[Event]] = defaultdict(list)
        for event in log.of_users(product):
            events_of[event.user_id].append(event)
            if event.day > log.days[-1] - SCORE_DAYS * DAY:
                recent_of[event.user_id].append(event)
        scores = _engagement_scores(recent_of)
        for user_id, events in events_of.items():
            days = {event.day for event in events}
            amounts = [event.miles_amount for event in events if event.miles_amount is not None]
            rows.append(
                UserLifetimes(
                    *(product, user_id, min(days), max(days), len(days), len(events)),
                    sum(amounts, Decimal(0)) if amounts else None,
                    scores.get(user_id),
                )
            )
    return rows


def rounded(value: Fraction, places: int = 10) -> Decimal:
    """The value as a decimal of ``places`` places, halves away from zero."""
    scaled = abs(value) * 10**places + Fraction(1, 2)
    size = Decimal(scaled.numerator // scaled.denominator).scaleb(-places)
    return -size if value < 0 else size


def percent_ranks(values: dict[str, int]) -> dict[str, Fraction]:
    """Per user the share of the others that have less; 0 for one alone."""
    others = max(len(values) - 1, 1)
    return {user: Fraction(sum(other < value for other in values.values()), others) for user, value in values.items()}


def _engagement_scores(events_of: dict[str, list[Event]]) -> dict[str, Fraction]:
    days = percent_ranks({user: len({event.day for event in events}) for user, events in events_of.items()})
    counts = percent_ranks({user: len(events) for user, events in events_of.items()})
    types = percent_ranks(
        {user: len({event.event_type for event in events} - {None}) for user, events in events_of.items()}
    )
    return {user: 100 * (days[user] + counts[user] + types[user]) / 3 for user in events_of}


def _users_by_day(log: Log, product: str) -> dict[date, set[str]]:
    users: dict[date, set[str]] = defaultdict(set)
    for event in log.of_users(product):
        users[event.day].add(event.user_id)
    return dict(users)


def _last_days(users_on: dict[date, set[str]], day: date, length: int) -> dict[date, set[str]]:
    return {other: users for other, users in users_on.items() if day - length * DAY < other <= day}


def _users_by_slice(log: Log, period_type: str) -> dict[tuple[str, str], dict[date, set[str]]]:
    """Active users by period: of all, of each product, and of each country."""
    users: dict[tuple[str, str], dict[date, set[str]]] = {(ALL, ALL): {}}
    for event in log.of_users():
        for labels in ((ALL, ALL), (event.product or NONE, ALL), (ALL, event.country or NONE)):
            by_period = users.setdefault(labels, {})
            by_period.setdefault(period_start(period_type, event.day), set()).add(event.user_id)
    return users
