"""The same for the marts that look deeper: N-day retention, funnels, concentration, overlap, segments, scores, churn.

Like engagement_oracle, it follows the metric definitions and shares nothing with the warehouse.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from golden.engagement_log import ALL, DAY, NONE, Event, Log, clean, period_start, read_landing
from golden.engagement_oracle import Rate, rate, rounded, user_lifetimes

DAY_NUMBERS = (1, 3, 7, 14, 30)
BRACKETS = {1: (1, 1), 3: (2, 3), 7: (4, 7), 14: (8, 14), 30: (15, 30)}
RECENT_DAYS = 28
ATTRIBUTES = ("age_group", "gender", "user_segment")
FUNNEL_WINDOW = timedelta(days=7)
APP_STEPS = ("view", "like", "comment", "share", "create")
FUNNELS = {
    "miles": ("reward_search", "miles_earned", "miles_redeemed"),
    **dict.fromkeys(("facebook", "instagram", "messenger", "whatsapp", "threads"), APP_STEPS),
}


@dataclass(frozen=True, slots=True)
class NdayRetention:
    """A row of mart.nday_retention."""

    cohort_month: date
    product: str
    segment_type: str
    segment_value: str
    day_number: int
    retention_type: str
    eligible_user_count: int
    retained_user_count: int
    retention_rate: Rate


@dataclass(frozen=True, slots=True)
class EngagementFunnel:
    """A row of mart.engagement_funnel."""

    product: str
    step_number: int
    step_name: str
    user_count: int
    step_conversion_rate: Rate
    overall_conversion_rate: Rate
    median_hours_from_previous: Rate


@dataclass(frozen=True, slots=True)
class EngagementConcentration:
    """A row of mart.engagement_concentration."""

    as_of_date: date
    product: str
    top_percent: int
    event_count: int
    event_rate: Rate


@dataclass(frozen=True, slots=True)
class CrossProductUsage:
    """A row of mart.cross_product_usage."""

    period_start: date
    product_count: int
    user_count: int
    user_rate: Rate


@dataclass(frozen=True, slots=True)
class ProductOverlap:
    """A row of mart.product_overlap."""

    period_start: date
    product_a: str
    product_b: str
    user_count: int
    rate_of_a: Rate
    rate_of_b: Rate


@dataclass(frozen=True, slots=True)
class SegmentUsage:
    """A row of mart.segment_usage."""

    period_start: date
    product: str
    segment_type: str
    segment_value: str
    active_user_count: int
    event_count: int
    events_per_user: Rate


@dataclass(frozen=True, slots=True)
class EngagementDistribution:
    """A row of mart.engagement_distribution."""

    as_of_date: date
    product: str
    user_segment: str
    score_bucket: int
    user_count: int


@dataclass(frozen=True, slots=True)
class ChurnRisk:
    """A row of mart.churn_risk."""

    product: str
    user_id: str
    as_of_date: date
    recency_days: int
    frequency_28d: int
    event_count_7d: int
    event_count_28d: int
    event_count_ratio: Rate
    tenure_days: int
    active_day_count: int
    product_count: int
    missed_day_count: Fraction
    churn_risk_score: Fraction
    churn_risk_band: str


@dataclass(frozen=True, slots=True)
class Expected:
    """Everything that these marts must show for the landed files."""

    nday_retention: list[NdayRetention]
    engagement_funnel: list[EngagementFunnel]
    engagement_concentration: list[EngagementConcentration]
    cross_product_usage: list[CrossProductUsage]
    product_overlap: list[ProductOverlap]
    segment_usage: list[SegmentUsage]
    engagement_distribution: list[EngagementDistribution]
    churn_risk: list[ChurnRisk]


@dataclass(frozen=True)
class Accounts:
    """The full extracts of app_users: by date, what each says of each user."""

    extracts: dict[date, dict[str, dict[str, str | None]]]

    def at(self, user_id: str, day: date) -> dict[str, str | None]:
        """What held on a day: what the last extract up to it says; nothing where that lacks the user."""
        dates = [other for other in self.extracts if other <= day]
        return self.extracts[max(dates)].get(user_id, {}) if dates else {}

    @cached_property
    def newest(self) -> dict[str, dict[str, str | None]]:
        """The last extract."""
        return self.extracts[max(self.extracts)] if self.extracts else {}


def calculate(landing: Path) -> Expected:
    """All these marts for the files below ``landing``."""
    log, accounts = read_landing(landing), read_accounts(landing)
    return Expected(
        nday_retention(log, accounts),
        engagement_funnel(log),
        engagement_concentration(log),
        cross_product_usage(log),
        product_overlap(log),
        segment_usage(log, accounts),
        engagement_distribution(log, accounts),
        churn_risk(log),
    )


def read_accounts(landing: Path) -> Accounts:
    """Every extract, each a folder with one CSV file; a user stands once in it."""
    extracts: dict[date, dict[str, dict[str, str | None]]] = {}
    for path in sorted((landing / "app_users").glob("extract_date=*/*.csv")):
        with path.open(encoding="utf-8", newline="") as source:
            rows = [{name: clean(value) for name, value in row.items()} for row in csv.DictReader(source)]
        if rows:
            extracts[date.fromisoformat(path.parent.name[-10:])] = {str(row["user_id"]): row for row in rows}
    return Accounts(extracts)


def nday_retention(log: Log, accounts: Accounts) -> list[NdayRetention]:
    """Who came back: on the day, on it or later, in the days since the number before; by month of the first day."""
    eligible: Counter[tuple[object, ...]] = Counter()
    retained: Counter[tuple[object, ...]] = Counter()
    keys = {
        (month, ALL, ALL, ALL, number, kind)
        for month in log.periods("month")
        for number in DAY_NUMBERS
        for kind in ("on_day", "on_or_after", "bracket")
    }
    for product in log.products:
        for user_id, events in _by_user(log.of_users(product)).items():
            first_at = min(event.occurred_at for event in events)
            first_day = first_at.date()
            firsts = [event for event in events if event.occurred_at == first_at]
            then = accounts.at(user_id, first_day)
            segments = {
                ALL: ALL,
                "country": _smallest(event.country for event in firsts),
                "platform": _smallest(event.platform for event in firsts),
                "channel": _smallest(event.utm_source for event in firsts),
                **{name: then.get(name) or NONE for name in ATTRIBUTES},
            }
            later = {(event.day - first_day).days for event in events}
            for number in DAY_NUMBERS:
                low, high = BRACKETS[number]
                came_back = {
                    "on_day": number in later,
                    "on_or_after": any(day >= number for day in later),
                    "bracket": any(low <= day <= high for day in later),
                }
                is_eligible = first_day + number * DAY <= log.days[-1]
                for segment in segments.items():
                    for kind, is_back in came_back.items():
                        key = (first_day.replace(day=1), product, *segment, number, kind)
                        keys.add(key)
                        eligible[key] += is_eligible
                        retained[key] += is_eligible and is_back
    return [NdayRetention(*key, eligible[key], retained[key], rate(retained[key], eligible[key])) for key in keys]


def engagement_funnel(log: Log) -> list[EngagementFunnel]:
    """Users who did the steps one after the other, in a week from the first time they did the first one."""
    rows = []
    for product, steps in FUNNELS.items():
        waits: list[list[timedelta]] = [[] for _ in steps]
        for events in _by_user(event for event in log.of_users() if (event.product or NONE) == product).values():
            begun = min((event.occurred_at for event in events if event.event_type == steps[0]), default=None)
            reached = begun
            for place, step in enumerate(steps):
                times = [event.occurred_at for event in events if event.event_type == step and reached is not None]
                times = [at for at in times if at >= reached and at - begun <= FUNNEL_WINDOW]
                if not times:
                    break
                waits[place].append(min(times) - reached)
                reached = min(times)
        if not waits[0]:
            continue
        for place, step in enumerate(steps):
            count, before = len(waits[place]), len(waits[place - 1])
            rows.append(
                EngagementFunnel(
                    *(product, place + 1, step, count),
                    rate(count, before) if place else None,
                    rate(count, len(waits[0])),
                    _median_hours(waits[place]) if place else None,
                )
            )
    return rows


def engagement_concentration(log: Log) -> list[EngagementConcentration]:
    """How much of the events of the last 28 days the most active 1, 5, 10 and 20 percent of users made."""
    rows = []
    for product in log.products:
        counts = Counter(event.user_id for event in _recent(log, log.of_users(product)))
        in_order = sorted(counts.values(), reverse=True)
        if log.days and (counts or product == ALL):
            for percent in (1, 5, 10, 20):
                top = sum(in_order[: -(-len(counts) * percent // 100)])
                rows.append(EngagementConcentration(log.days[-1], product, percent, top, rate(top, sum(in_order))))
    return rows


def cross_product_usage(log: Log) -> list[CrossProductUsage]:
    """Users of a month by the number of their products, for every number that there could be."""
    rows = []
    for month in log.periods("month"):
        products: dict[str, set[str]] = defaultdict(set)
        for event in log.of_users():
            if period_start("month", event.day) == month:
                products[event.user_id].add(event.product or NONE)
        users = Counter(map(len, products.values()))
        rows += [
            CrossProductUsage(month, number, users[number], rate(users[number], len(products)))
            for number in range(1, len(log.products))
        ]
    return rows


def product_overlap(log: Log) -> list[ProductOverlap]:
    """Users of two products in a month, for pairs that have any."""
    rows = []
    for month in log.periods("month"):
        users: dict[str, set[str]] = defaultdict(set)
        for event in log.of_users():
            if period_start("month", event.day) == month:
                users[event.product or NONE].add(event.user_id)
        for first, second in ((a, b) for a in users for b in users if a < b and users[a] & users[b]):
            both = len(users[first] & users[second])
            rates = rate(both, len(users[first])), rate(both, len(users[second]))
            rows.append(ProductOverlap(month, first, second, both, *rates))
    return rows


def segment_usage(log: Log, accounts: Accounts) -> list[SegmentUsage]:
    """Users and events of a month by what the newest extract says of the user, and what the event says of itself."""
    users: dict[tuple[object, ...], set[str]] = defaultdict(set)
    events: Counter[tuple[object, ...]] = Counter()
    for event in log.events:
        account = accounts.newest.get(event.user_id or "", {})
        values = {name: account.get(name) for name in ATTRIBUTES}
        for name, value in {**values, "country": event.country, "platform": event.platform}.items():
            for product in (ALL, event.product or NONE):
                key = (event.day.replace(day=1), product, name, value or NONE)
                events[key] += 1
                if event.user_id is not None:
                    users[key].add(event.user_id)
    return [
        SegmentUsage(*key, len(active), events[key], rate(events[key], len(active))) for key, active in users.items()
    ]


def engagement_distribution(log: Log, accounts: Accounts) -> list[EngagementDistribution]:
    """Users by tenths of the score, in total and by segment of the newest extract; every tenth of what has a user."""
    if not log.days:
        return []
    buckets: dict[tuple[str, str], Counter[int]] = {(ALL, ALL): Counter()}
    for row in user_lifetimes(log):
        if row.engagement_score is not None:
            segment = accounts.newest.get(row.user_id, {}).get("user_segment") or NONE
            for label in (ALL, segment):
                bucket = min(int(row.engagement_score // 10), 9)
                buckets.setdefault((row.product, label), Counter())[bucket] += 1
    return [
        EngagementDistribution(log.days[-1], *key, bucket, counts[bucket])
        for key, counts in buckets.items()
        for bucket in range(10)
    ]


def churn_risk(log: Log) -> list[ChurnRisk]:
    """Everyone's features on the last day, and what they say of the next 28."""
    products: dict[str, set[str | None]] = defaultdict(set)
    for event in log.of_users():
        products[event.user_id].add(event.product)
    rows = []
    for product in log.products:
        for user_id, events in _by_user(log.of_users(product)).items():
            now = log.days[-1]
            days = {event.day for event in events}
            recent = _recent(log, events)
            week = [event for event in recent if event.day > now - 7 * DAY]
            recency, tenure = (now - max(days)).days, (now - min(days)).days
            missed = Fraction(len(days) * recency, (max(days) - min(days)).days + 1)
            silence, patience = 1 + recency + missed, Fraction(tenure + 20, 3)
            score = silence / (silence + patience)
            rows.append(
                ChurnRisk(
                    *(product, user_id, now, recency, len({event.day for event in recent}), len(week), len(recent)),
                    *(rate(len(week), len(recent)), tenure, len(days), len(products[user_id]), missed, score),
                    "low" if score < Fraction(1, 5) else "medium" if score < Fraction(1, 2) else "high",
                )
            )
    return rows


def _by_user(events: Iterable[Event]) -> dict[str, list[Event]]:
    users: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        users[event.user_id].append(event)
    return dict(users)


def _recent(log: Log, events: Iterable[Event]) -> list[Event]:
    return [event for event in events if event.day > log.days[-1] - RECENT_DAYS * DAY]


def _smallest(values: Iterable[str | None]) -> str:
    known: Callable[[str], bytes] = str.encode  # in the order of their bytes
    return min((value for value in values if value is not None), key=known, default=NONE)


def _median_hours(waits: list[timedelta]) -> Rate:
    if not waits:
        return None
    in_order = sorted(waits)
    middle = in_order[(len(waits) - 1) // 2] + in_order[len(waits) // 2]
    return rounded(Fraction(middle // timedelta(microseconds=1), 2 * 3_600_000_000))
