"""Write the feeds of engagement: events and app_events as files of a week or a day, app_users as full extracts.

Rows of a day go to the file of the day, but for a few that are late; copies stand in the same file or the next one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from sample_data.activity import AppEvents, Block, Crowd, Events, app_events, blocks_of_day, miles_events
from sample_data.draws import Draws
from sample_data.engagement import Accounts
from sample_data.engagement_texts import APP_EVENTS_SCHEMA, HEADERS, EngagementTexts
from sample_data.files import WrittenFile, whole_file

EPOCH = date(1970, 1, 1).toordinal()
ENGAGEMENT_FEEDS = ("events", "app_events", "app_users")

# Flaws, per ten thousand rows.
LATE = 30  # not in the file of their day, but in the next one or, three of ten, the one after
COPIED = 80  # an exact copy in the same file
COPIED_LATER = 20  # an exact copy in the next file
EXTRACT_ROWS = 100_000  # are written at once


@dataclass(frozen=True, slots=True)
class Span:
    """What the files cover: ``days`` from ``start`` on, app_events as Parquet from the day ``parquet_from`` on."""

    start: date
    days: int
    parquet_from: int
    is_daily: bool

    def date_of(self, day: int) -> date:
        """The date of a day, by its number."""
        return self.start + timedelta(days=day)

    @classmethod
    def of(cls, start: date, days: int, more_days: int, *, is_daily: bool) -> Span:
        """CSV for the first half of the days, whole weeks if there are any, Parquet for the others."""
        half = (days + 1) // 2
        monday = half + -(start + timedelta(days=half)).weekday() % 7
        return cls(start, days + more_days, monday if monday < days else half, is_daily)


@dataclass(frozen=True, slots=True)
class Unit:
    """A file of a feed, and the days that it is for."""

    path: Path
    days: range


def _units(folder: Path, feed: str, span: Span) -> Iterator[Unit]:
    """The files of a feed of events, in order of time."""
    day = 0
    while day < span.days:
        today = span.date_of(day)
        if feed == "app_events" and day >= span.parquet_from:
            yield Unit(folder / feed / f"event_date={today}" / f"{feed}.parquet", range(day, day + 1))
            day += 1
            continue
        length = 1 if span.is_daily else 7 - today.weekday()
        end = min(span.days, day + length)
        if feed == "app_events":
            end = min(end, span.parquet_from)
        named = today if span.is_daily else today - timedelta(days=today.weekday())
        yield Unit(folder / feed / f"{feed}_{named}.csv", range(day, end))
        day = end


class EventFiles:
    """The files of one feed, written in order; a context that leaves no unfinished file behind when it fails."""

    def __init__(self, feed: str, folder: Path, span: Span, texts: EngagementTexts, seed: int) -> None:
        """Nothing is opened before the first day is written."""
        self._feed, self._texts = feed, texts
        self._units = list(_units(folder, feed, span))
        self._key = (seed, 15 + ENGAGEMENT_FEEDS.index(feed))
        self._index = 0
        self._carried: dict[int, list[Events]] = defaultdict(list)  # rows for a later file, by its index
        self._open: AbstractContextManager[BinaryIO] | None = None
        self._target: BinaryIO
        self._parquet: Any = None
        self._row_count = 0
        self.written: list[WrittenFile] = []

    def __enter__(self) -> EventFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._parquet is not None:
            with suppress(OSError):  # its end goes nowhere
                self._parquet.close()
        if self._open:
            self._open.__exit__(kind, error, traceback)

    def write(self, rows: Events, day: int, block: int) -> None:
        """Write the rows of a block of a day, and what earlier days left for this file."""
        unit = self._units[self._index]
        if self._open is None:
            self._begin(unit)
            for carried in self._carried.pop(self._index, []):
                rows += carried
        draws = Draws(*self._key, day, block)
        count = len(rows.time)
        dice, is_far = draws.below(10_000, count), draws.chance(300, count)
        is_late = dice < LATE
        is_copied = (dice >= LATE) & (dice < LATE + COPIED)
        is_copied_later = (dice >= LATE + COPIED) & (dice < LATE + COPIED + COPIED_LATER)
        self._carried[self._index + 1] += [rows.where(is_late & ~is_far), rows.where(is_copied_later)]
        self._carried[self._index + 2].append(rows.where(is_late & is_far))
        rows = rows.where(~is_late) + rows.where(is_copied)
        rows = rows.in_order_of(rows.time)
        if self._parquet is not None:
            assert isinstance(rows, AppEvents)
            self._parquet.write_table(self._texts.app_events_table(rows))
        else:
            self._target.write(self._texts.csv(rows))
        self._row_count += len(rows.time)

    def end_day(self, day: int) -> None:
        """Finish the file if it is for no later day."""
        unit = self._units[self._index]
        if day + 1 not in unit.days:
            assert self._open is not None
            if self._parquet is not None:
                self._parquet.close()
                self._parquet = None
            closing, self._open = self._open, None
            closing.__exit__(None, None, None)
            self.written.append(WrittenFile(unit.path, self._feed, self._row_count))
            self._index += 1

    def _begin(self, unit: Unit) -> None:
        self._open = whole_file(unit.path)
        self._target = self._open.__enter__()
        self._row_count = 0
        if unit.path.suffix == ".parquet":
            # zstd gives the same bytes on every processor; the Arrow schema would add nothing that a reader needs
            self._parquet = pq.ParquetWriter(self._target, APP_EVENTS_SCHEMA, compression="zstd", store_schema=False)
        else:
            self._target.write(HEADERS[self._feed])


def write_engagement(
    folder: Path,
    accounts: Accounts,
    texts: EngagementTexts,
    span: Span,
    feeds: Collection[str],
    seed: int,
    per_million: int,
    written: list[WrittenFile],
) -> Generator[int, None, None]:
    """Write the feeds of engagement among ``feeds``, a day at each step, and add the finished files to ``written``."""
    crowd = Crowd.of(accounts)
    rows_of: dict[str, Callable[[Block, int], Events]] = {
        "events": lambda block, day: miles_events(accounts, block, seed, day),
        "app_events": lambda block, day: app_events(accounts, block, seed, day, span.date_of(day).toordinal() - EPOCH),
    }
    with ExitStack() as stack:
        files = {
            feed: stack.enter_context(EventFiles(feed, folder, span, texts, seed)) for feed in rows_of if feed in feeds
        }
        for day in range(span.days):
            if files:
                for block in blocks_of_day(crowd, seed, day, span.date_of(day).weekday(), per_million):
                    for feed, target in files.items():
                        target.write(rows_of[feed](block, day), day, block.number)
                for target in files.values():
                    target.end_day(day)
            if "app_users" in feeds and (span.date_of(day).weekday() == 6 or day == span.days - 1):
                written.append(_write_extract(folder, accounts, texts, day, span.date_of(day)))
            yield day
    written += [file for target in files.values() for file in target.written]


def _write_extract(folder: Path, accounts: Accounts, texts: EngagementTexts, day: int, day_date: date) -> WrittenFile:
    """Everyone who has an account at the end of the day, as they are then."""
    path = folder / "app_users" / f"extract_date={day_date}" / "app_users.csv"
    listed = accounts.listed_on(day)
    with whole_file(path) as target:
        target.write(HEADERS["app_users"])
        for begin in range(0, len(listed), EXTRACT_ROWS):
            target.write(texts.app_users(listed[begin : begin + EXTRACT_ROWS], day))
    return WrittenFile(path, "app_users", len(listed))
