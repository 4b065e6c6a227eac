"""What landed in the feeds events and app_events: the distinct events of both, in one shape."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

ALL = "all"
NONE = "(none)"
WHITE_SPACE = " \t\r\n\f\v"
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Event:
    """A row of either feed with all its columns; None is what is blank, or what the feed does not have."""

    product: str | None
    occurred_at: datetime
    user_id: str | None
    event_type: str | None
    country: str | None
    platform: str | None
    category: str | None = None
    miles_amount: Decimal | None = None
    utm_source: str | None = None
    event_id: str | None = None
    session_id: str | None = None
    duration_seconds: Decimal | None = None

    @property
    def day(self) -> date:
        """Its day in UTC."""
        return self.occurred_at.date()


@dataclass(frozen=True)
class Log:
    """All distinct events; the span runs from the first day with any of them to the last one."""

    events: frozenset[Event]

    @cached_property
    def days(self) -> list[date]:
        """Every day of the span."""
        with_event = {event.day for event in self.events}
        if not with_event:
            return []
        return [min(with_event) + number * DAY for number in range((max(with_event) - min(with_event)).days + 1)]

    @cached_property
    def products(self) -> list[str]:
        """All, and each one that occurs."""
        return [ALL, *sorted({event.product or NONE for event in self.events})]

    def of_product(self, product: str) -> list[Event]:
        """Events of one product, or of all."""
        return [event for event in self.events if product in (ALL, event.product or NONE)]

    def of_users(self, product: str = ALL) -> list[Event]:
        """Those of them whose user is known."""
        return [event for event in self.of_product(product) if event.user_id is not None]

    def periods(self, period_type: str) -> list[date]:
        """Starts of the periods that hold a day of the span."""
        return sorted({period_start(period_type, day) for day in self.days})

    def is_complete(self, period_type: str, start: date) -> bool:
        """Whether the span holds the whole period."""
        return self.days[0] <= start and self.has_ended(period_type, start)

    def has_ended(self, period_type: str, start: date) -> bool:
        """Whether the period ends on or before the last day."""
        return period_end(period_type, start) - DAY <= self.days[-1]


def period_start(period_type: str, day: date) -> date:
    """First day of the day, ISO week or month that the day is in."""
    return {"day": day, "week": day - day.weekday() * DAY, "month": day.replace(day=1)}[period_type]


def period_end(period_type: str, start: date) -> date:
    """First day after the period."""
    next_month = (start.replace(day=1) + 31 * DAY).replace(day=1)
    return {"day": start + DAY, "week": start + 7 * DAY, "month": next_month}[period_type]


def read_landing(landing: Path) -> Log:
    """Read every .csv, .csv.gz and .parquet file of both feeds; exact copies of a row, after trimming, are one.

    Raises:
        ValueError: a time or number cannot be read. The oracle knows good files only.
    """
    miles = {
        Event(
            product="miles",
            occurred_at=parse_time(row["event_time"]),
            user_id=clean(row["user_id"]),
            event_type=clean(row["event_type"]),
            country=clean(row["country"]),
            platform=clean(row["platform"]),
            category=clean(row["transaction_category"]),
            miles_amount=parse_number(row["miles_amount"]),
            utm_source=clean(row["utm_source"]),
        )
        for row in _file_rows(landing / "events")
    }
    # Never equal to one of the others, even of a product miles: these have an event_id.
    apps = {
        Event(
            product=clean(row["product"]),
            occurred_at=parse_time(row["event_timestamp"]),
            user_id=clean(row["user_id"]),
            event_type=clean(row["event_type"]),
            country=clean(row["country"]),
            platform=clean(row["device"]),
            event_id=clean(row["event_id"]),
            session_id=clean(row["session_id"]),
            duration_seconds=parse_number(row["duration_seconds"]),
        )
        for row in _file_rows(landing / "app_events")
    }
    return Log(frozenset(miles | apps))


def parse_time(value: str | datetime) -> datetime:
    """The instant in UTC; a time without an offset is UTC."""
    time = value if isinstance(value, datetime) else datetime.fromisoformat(value.strip(WHITE_SPACE))
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def parse_number(value: str | float | Decimal | None) -> Decimal | None:
    """The number, None where there is none."""
    text = clean(None if value is None else str(value))
    return None if text is None else Decimal(text)


def clean(value: str | None) -> str | None:
    """The text without outer white space; None where nothing is left."""
    return (value or "").strip(WHITE_SPACE) or None


def _file_rows(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.rglob("*")):
        if path.name.endswith(".parquet"):
            yield from pq.ParquetFile(path).read().to_pylist()
        elif path.name.endswith((".csv", ".csv.gz")):
            opened = gzip.open if path.suffix == ".gz" else open
            with opened(path, "rt", encoding="utf-8", newline="") as source:
                yield from csv.DictReader(source)
