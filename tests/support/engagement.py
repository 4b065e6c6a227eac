"""What is in the files of a sample, found by plain counting; see sample_data/truths.py."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path

import pyarrow.parquet as pq
from golden.oracle import calculate

from sample_data import WrittenFile

FIRST_DAY, LAST_DAY = date(2023, 12, 4), date(2024, 2, 29)  # of the default days: a Monday, and a Thursday
WEEK = timedelta(weeks=1)
APP_STEPS = ("view", "like", "comment", "share", "create")
MILES_STEPS = ("reward_search", "miles_earned", "miles_redeemed")
GOOD, POOR = {"ORGANIC SEARCH", "REFERRAL"}, {"IMPRESSION", "PAID SOCIAL"}
APPS = ("facebook", "instagram", "messenger", "whatsapp", "threads")
LAST_WHOLE_WEEK = (LAST_DAY - FIRST_DAY).days // 7 - 1


@dataclass(frozen=True)
class Event:
    """What counting needs of a row; ``record`` is the whole of it, ``is_late`` if its file is for later days."""

    user: str
    time: datetime
    product: str
    event_type: str
    record: tuple[str, ...]
    is_late: bool


def records(file: WrittenFile) -> Iterator[dict[str, str]]:
    """The rows of a file as texts, whatever its kind."""
    if file.path.suffix == ".parquet":
        for row in pq.ParquetFile(file.path).read().to_pylist():
            yield {name: "" if value is None else str(value) for name, value in row.items()}
    else:
        with file.path.open(encoding="utf-8", newline="") as source:
            yield from csv.DictReader(source)


def first_day_of(file: WrittenFile) -> date:
    """The first day that a file is for, from its name or its folder."""
    name = file.path.parent.name if file.path.suffix == ".parquet" else file.path.stem
    return max(date.fromisoformat(name[-10:]), FIRST_DAY)


class Sample:
    """A written sample, and what is counted in it."""

    def __init__(self, folder: Path, files: list[WrittenFile]) -> None:
        self.folder, self.files = folder, files

    @cached_property
    def rows(self) -> list[Event]:
        """All rows of events and app_events, file after file."""
        found = []
        for file in self.files:
            if file.feed not in ("events", "app_events"):
                continue
            begin = first_day_of(file)
            for row in records(file):
                time = datetime.fromisoformat(row.get("event_time") or row["event_timestamp"])
                # Parquet's times become other texts than those of CSV.
                record = (str(time), *(value for name, value in row.items() if name[-4:] not in ("time", "tamp")))
                product = row.get("product", "miles")
                found.append(Event(row["user_id"], time, product, row["event_type"], record, time.date() < begin))
        return found

    @cached_property
    def distinct(self) -> list[Event]:
        return list({row.record: row for row in reversed(self.rows)}.values())

    @cached_property
    def events(self) -> list[Event]:
        """Distinct rows with a user, in the order of time."""
        return sorted((row for row in self.distinct if row.user), key=lambda row: row.time)

    @cached_property
    def weeks(self) -> dict[str, set[int]]:
        """The weeks in which each user is active, the first is 0; the last one is not whole."""
        weeks: dict[str, set[int]] = defaultdict(set)
        for event in self.events:
            weeks[event.user].add((event.time.date() - FIRST_DAY) // WEEK)
        return weeks

    @cached_property
    def products(self) -> dict[str, set[str]]:
        products: dict[str, set[str]] = defaultdict(set)
        for event in self.events:
            products[event.user].add(event.product)
        return products

    @cached_property
    def extracts(self) -> dict[date, dict[str, dict[str, str]]]:
        """The rows of app_users by extract and user."""
        return {
            date.fromisoformat(file.path.parent.name[-10:]): {row["user_id"]: row for row in records(file)}
            for file in self.files
            if file.feed == "app_users"
        }

    def retention(self, offset: int) -> float:
        """Of all cohorts but the first, and whole weeks."""
        cohort = [weeks for weeks in self.weeks.values() if 0 < min(weeks) <= LAST_WHOLE_WEEK - offset]
        return sum(min(weeks) + offset in weeks for weeks in cohort) / len(cohort)

    def funnel(self, product: str, steps: tuple[str, ...]) -> list[int]:
        """Users who reach each step after the step before, in a week from their first step 1.

        No user has two events at one instant, so that events in the order of time are steps in their order.
        """
        first: dict[str, datetime] = {}
        reached: dict[str, int] = defaultdict(int)
        for event in (event for event in self.events if event.product == product):
            if event.event_type == steps[0]:
                first.setdefault(event.user, event.time)
            step = reached[event.user]
            if step < len(steps) and event.event_type == steps[step] and event.time - first[event.user] <= WEEK:
                reached[event.user] += 1
        return [sum(step >= wanted for step in reached.values()) for wanted in range(1, len(steps) + 1)]

    def stayed(self, media: set[str]) -> float:
        """Of users who registered by these media, four weeks before the end or earlier: active 15 to 28 days later."""
        times: dict[str, list[datetime]] = defaultdict(list)
        for event in self.events:
            times[event.user].append(event.time)
        first: dict[int, datetime] = {}
        came_by: dict[int, str | None] = {}
        for row in sorted(calculate(self.folder).registrations, key=lambda row: row.registration.registered_at):
            user = row.registration.user_id
            if user not in first:
                first[user] = row.registration.registered_at
                came_by[user] = row.session.channel if row.session else None
        until = datetime(LAST_DAY.year, LAST_DAY.month, LAST_DAY.day, tzinfo=UTC) - 4 * WEEK
        chosen = [user for user, at in first.items() if came_by[user] in media and at < until]
        kept = [
            user
            for user in chosen
            if any(timedelta(days=15) <= time - first[user] < 4 * WEEK for time in times[str(user)])
        ]
        return len(kept) / len(chosen)


def found_in(sample: Sample) -> dict[str, float]:
    """Every truth, counted."""
    distinct, events, weeks = sample.distinct, sample.events, sample.weeks
    recent = Counter(event.user for event in events if (LAST_DAY - event.time.date()).days < 28)
    tenth = sorted(recent.values(), reverse=True)[: -(-len(recent) // 10)]
    whole = [event for event in events if (event.time.date() - FIRST_DAY) // WEEK <= LAST_WHOLE_WEEK]
    weekdays = Counter(event.time.weekday() for event in whole)
    active = Counter(week for active_in in weeks.values() for week in active_in)
    again = [
        (week, week - max(earlier))
        for active_in in weeks.values()
        for week in active_in
        if (earlier := {other for other in active_in if other < week})
    ]
    away = {
        user
        for user, active_in in weeks.items()
        if any(week - 3 > max((other for other in active_in if other < week), default=week) for week in active_in)
    }
    app_users = {user for user, products in sample.products.items() if products - {"miles"}}
    funnels = [sample.funnel(app, APP_STEPS) for app in APPS]
    viewed, liked, _, _, created = (sum(step) for step in zip(*funnels, strict=True))
    miles = sample.funnel("miles", MILES_STEPS)
    versions: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for extract in sample.extracts.values():
        for user, row in extract.items():
            versions[user].add((row["country"], row["age_group"], row["user_segment"]))
    registered = {str(row.registration.user_id) for row in calculate(sample.folder).registrations}
    return {
        "duplicates": 1 - len(distinct) / len(sample.rows),
        "userless": 1 - len(events) / len(distinct),
        "late": sum(event.is_late for event in distinct) / len(distinct),
        "top_10_percent": sum(tenth) / recent.total(),
        "saturday_to_tuesday": weekdays[5] / weekdays[1],
        "growth": active[LAST_WHOLE_WEEK] / active[0],
        **{f"retention_week_{offset}": sample.retention(offset) for offset in (1, 2, 4, 6)},
        "resurrected": sum(gap > 1 for _, gap in again) / active.total(),
        "long_absences": len(away) / len(weeks),
        "cross_product": sum(len(products) > 1 for products in sample.products.values()) / len(weeks),
        "both_feeds": sum("miles" in sample.products[user] for user in app_users) / len(weeks),
        "active_registered": len(registered & weeks.keys()) / len(registered),
        "like_after_view": liked / viewed,
        "create_after_view": created / viewed,
        "redeemed_after_search": miles[2] / miles[0],
        "changed_users": sum(len(states) > 1 for states in versions.values()) / len(versions),
        "deleted_users": len(versions.keys() - sample.extracts[LAST_DAY].keys()) / len(versions),
        "unknown_users": len(weeks.keys() - versions.keys()) / len(weeks),
        "stayed_good": sample.stayed(GOOD),
        "stayed_poor": sample.stayed(POOR),
    }
