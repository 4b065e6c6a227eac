"""Write sessions and conversions: folder/<feed>/<feed>_<Monday>.csv, one a week, in time order.

Source: nothing but the arguments; the same arguments give the same bytes. Real exports have flaws that the warehouse
must bear, so the files have them too: copies of rows in the same and in the next file, spellings, empty media.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sample_data.acquisition import (
    MEDIA,
    MEDIUM_URN,
    PAID_PER_MILLE,
    Population,
    Sessions,
    background,
    day_weights,
)
from sample_data.draws import Draws, Int64s
from sample_data.files import DAY, Bytes, TimeTexts, WrittenFile, csv_block, text_table, whole_file
from sample_data.tables import Table

HEADERS = {"sessions": b"userid,time_started,is_paid,medium\n", "conversions": b"userid,registration_time\n"}

# Flaws, per mille of rows.
COPIED = 10  # an exact copy in the same file
COPIED_LATER = 3  # an exact copy in the next file
RESPELLED = 20  # other case, or spaces around the medium
COPIED_RESPELLED = 1  # a copy whose medium is spelled otherwise
TWIN = 3  # another session of the user at the same instant

# The ways to write a medium; the first is the usual one.
SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    str.lower,
    str.title,
    lambda medium: f" {medium}",
    lambda medium: f"{medium} ",
    lambda medium: f"  {medium.lower()} ",
)


@dataclass(frozen=True, slots=True)
class Texts:
    """The ready texts of all fields."""

    users: Bytes
    times: TimeTexts
    sessions_end: Bytes  # ",true,PAID SEARCH\n" and the like; row = (medium * spellings + spelling) * 2 + is_paid


@dataclass(frozen=True, slots=True)
class Rows(Table):
    """Rows of a feed before they become text; ``end`` numbers the text that ends a sessions row."""

    user: Int64s
    time: Int64s
    end: Int64s


def write_acquisition(
    folder: Path,
    population: Population,
    user_texts: Bytes,
    start: date,
    days: int,
    feeds: Collection[str],
    seed: int,
    written: list[WrittenFile],
) -> Generator[int, None, None]:
    """Write sessions and conversions, or one of them, a day at each step, and add the files to ``written``."""
    texts = Texts(user_texts, TimeTexts(start, days), _session_ends())
    weights = day_weights(start, days)
    chosen = [feed for feed in HEADERS if feed in feeds]
    late = {feed: _no_rows() for feed in HEADERS}  # what the next file repeats of this one
    for monday, week in _weeks(start, days):
        counts = dict.fromkeys(chosen, 0)
        paths = {feed: folder / feed / f"{feed}_{monday}.csv" for feed in chosen}
        with ExitStack() as stack:
            targets = {feed: stack.enter_context(whole_file(path)) for feed, path in paths.items()}
            for feed in chosen:
                targets[feed].write(HEADERS[feed])
            repeated, late = late, {feed: _no_rows() for feed in HEADERS}
            for day in week:
                draws = Draws(seed, 2, day)
                new = {
                    "sessions": _sessions_of_day(population, draws, day, int(weights[day])),
                    "conversions": _conversions_of_day(population, day),
                }
                for feed, rows in new.items():  # of both feeds: they share the draws of the day
                    late[feed] += rows.where(draws.chance(COPIED_LATER, len(rows.time)))
                    copies = rows.where(draws.chance(COPIED, len(rows.time)))
                    if feed not in chosen:
                        continue
                    both = rows + copies
                    block = repeated[feed] + both.in_order_of(both.time)
                    repeated[feed] = _no_rows()
                    targets[feed].write(_csv(feed, block, texts))
                    counts[feed] += len(block.time)
                if day != week[-1]:
                    yield day
        written += [WrittenFile(paths[feed], feed, counts[feed]) for feed in chosen]
        yield week[-1]


def _weeks(start: date, days: int) -> Iterator[tuple[date, range]]:
    """The weeks of the sample, by their Monday, with the numbers of their days; the ends may be cut."""
    day = 0
    while day < days:
        today = start + timedelta(days=day)
        following = min(days, day + 7 - today.weekday())
        yield today - timedelta(days=today.weekday()), range(day, following)
        day = following


def _sessions_of_day(population: Population, draws: Draws, day: int, weight: int) -> Rows:
    """All sessions that start on the day, twins and respelled copies included, in no order."""
    journeys = population.journeys
    first, last = np.searchsorted(journeys.time, [day * DAY, (day + 1) * DAY])
    sessions = journeys.where(slice(int(first), int(last))) + background(population, draws, day, weight)
    twins = sessions.where(draws.chance(TWIN, len(sessions.time)))
    media = draws.pick(MEDIUM_URN, len(twins.time))
    sessions += Sessions(twins.user, twins.time, media)

    count = len(sessions.time)
    is_paid = draws.below(1000, count) < PAID_PER_MILLE[sessions.medium]
    other_spelling = 1 + draws.below(len(SPELLINGS) - 1, count)
    spelling = np.where(draws.chance(RESPELLED, count), other_spelling, 0)
    rows = Rows(sessions.user, sessions.time, _end_number(sessions.medium, spelling, is_paid))
    again = Rows(sessions.user, sessions.time, _end_number(sessions.medium, other_spelling, is_paid))
    return rows + again.where(draws.chance(COPIED_RESPELLED, count))


def _conversions_of_day(population: Population, day: int) -> Rows:
    """All registrations of the day."""
    registrations = population.registrations
    first, last = np.searchsorted(registrations.time, [day * DAY, (day + 1) * DAY])
    time = registrations.time[first:last]
    return Rows(registrations.user[first:last], time, np.zeros(len(time), dtype=np.int64))


def _end_number(medium: Int64s, spelling: Int64s, is_paid: NDArray[np.bool_]) -> Int64s:
    """The row of the text table with the end of a sessions row."""
    return (medium * len(SPELLINGS) + spelling) * 2 + is_paid


def _session_ends() -> Bytes:
    """The texts that end a sessions row, in the order of ``_end_number``."""
    return text_table(
        [
            f",{is_paid},{spelled(medium) if medium else ''}\n"
            for medium in MEDIA
            for spelled in SPELLINGS
            for is_paid in ("false", "true")
        ]
    )


def _no_rows() -> Rows:
    """An empty table of rows."""
    none = np.zeros(0, dtype=np.int64)
    return Rows(none, none, none)


def _csv(feed: str, rows: Rows, texts: Texts) -> bytes:
    """The rows as CSV bytes."""
    count = len(rows.time)
    comma, newline = (np.full((count, 1), ord(sign), dtype=np.uint8) for sign in ",\n")
    end = texts.sessions_end[rows.end] if feed == "sessions" else newline
    return csv_block([texts.users[rows.user], comma, *texts.times.parts(rows.time), end])
