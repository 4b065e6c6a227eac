"""Write the sample: the files of every feed, those of one company.

Source: nothing but the arguments; the same arguments give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from sample_data.acquisition import populate
from sample_data.acquisition_files import HEADERS as ACQUISITION_HEADERS
from sample_data.acquisition_files import write_acquisition
from sample_data.activity import Crowd
from sample_data.draws import Draws
from sample_data.engagement import open_accounts
from sample_data.engagement_files import ENGAGEMENT_FEEDS, Span, write_engagement
from sample_data.engagement_texts import EngagementTexts
from sample_data.files import Bytes, WrittenFile, digit_table
from sample_data.subscription_files import SUBSCRIPTION_FEEDS, write_subscriptions

DEFAULT_START = date(2024, 1, 1)  # a Monday
Writer = Generator[int, None, None]  # writes a day at each step
FEEDS = (*ACQUISITION_HEADERS, *ENGAGEMENT_FEEDS, *SUBSCRIPTION_FEEDS)
# Retention shows over weeks: the apps of a shorter sample are older than its sessions, so that they have so many days.
ENGAGEMENT_DAYS = 88


def write_sample(
    folder: Path,
    *,
    users: int,
    days: int,
    seed: int,
    start: date = DEFAULT_START,
    feeds: Collection[str] = FEEDS,
    lead_days: int | None = None,
    more_days: int = 0,
    events: int | None = None,
    is_daily: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[WrittenFile]:
    """Write the files of the feeds; existing files of the same names are replaced, each at once.

    Args:
        folder: the landing folder, or any other; the feeds' folders are created in it.
        users: how many users there are; a day has about one session for every three or four of them.
        days: how many days the files cover.
        seed: names the sample; the same arguments give the same bytes everywhere.
        start: the first day (UTC).
        feeds: which feeds to write; a feed's files are the same whichever others are written.
        lead_days: by how many days the other feeds begin earlier than those of acquisition; so many that they cover
            ENGAGEMENT_DAYS.
        more_days: by how many days they end later, everything before staying as it is: daily files are the same, and
            of weekly ones all but the last.
        events: about how many rows of events and app_events are written for ``days`` and ``lead_days``, by more or
            fewer visits of each user.
        is_daily: one file of events and app_events a day, not a week.
        progress: called after each day with the number of days done and of all days.

    Returns:
        The files: sessions and conversions week by week, then the extracts of the apps and the files of each feed of
        events, then those of subscriptions week by week.

    Raises:
        ValueError: users or days below 1, seed or other days below 0, or a feed that there is not.
        OSError: the folder cannot be written.
    """
    if users < 1 or days < 1 or seed < 0:
        raise ValueError("users and days must be at least 1, seed at least 0")
    if lead_days is None:
        lead_days = max(0, ENGAGEMENT_DAYS - days)
    if lead_days < 0 or more_days < 0 or (events is not None and events < 1):
        raise ValueError("events must be at least 1, lead_days and more_days at least 0")
    if unknown := set(feeds) - set(FEEDS):
        raise ValueError(f"no feed of the sample: {', '.join(sorted(unknown))} (there are: {', '.join(FEEDS)})")
    population = populate(users, start, days, seed)
    user_texts = _user_texts(users, seed)
    written: list[WrittenFile] = []
    steps: dict[Writer, int] = {}  # the writers, and how many days each has
    if set(feeds) & set(ACQUISITION_HEADERS):
        writer = write_acquisition(folder, population, user_texts, start, days, feeds, seed, written)
        steps[writer] = days
    by_engagement: list[WrittenFile] = []
    by_subscription: list[WrittenFile] = []
    first_day = start - timedelta(days=lead_days)
    if not set(feeds) <= set(ACQUISITION_HEADERS):
        accounts = open_accounts(population, days, lead_days, seed)
    if set(feeds) & set(ENGAGEMENT_FEEDS):
        span = Span.of(first_day, lead_days + days, more_days, is_daily=is_daily)
        texts = EngagementTexts(accounts, user_texts, first_day, span.days)
        per_million = 1_000_000
        if events is not None:
            per_million = Crowd.of(accounts).per_million(events, lead_days + days)
        writer = write_engagement(folder, accounts, texts, span, feeds, seed, per_million, by_engagement)
        steps[writer] = span.days
    if set(feeds) & set(SUBSCRIPTION_FEEDS):
        all_days = lead_days + days + more_days
        writer = write_subscriptions(folder, accounts, user_texts, first_day, all_days, feeds, seed, by_subscription)
        steps[writer] = all_days
    _run(steps, days, progress)
    return written + by_engagement + by_subscription


def _run(
    steps: Mapping[Generator[int, None, None], int], days: int, progress: Callable[[int, int], None] | None
) -> None:
    """Take the steps of all writers side by side, each of as many as is said; progress counts ``days`` for all."""
    try:
        for done in range(1, days + 1):
            for writer, count in steps.items():
                for _ in range(count * (done - 1) // days, count * done // days):
                    next(writer)
            if progress:
                progress(done, days)
        for writer in steps:  # what is left to do after the last day
            for _ in writer:
                pass
    finally:  # of a writer that has not come to its end, files are not finished, and go
        for writer in steps:
            writer.close()


def _user_texts(users: int, seed: int) -> Bytes:
    """Ids of 19 digits that fit a bigint: one from each of as many equal ranges, so that no two are the same."""
    draws = Draws(seed, 3)
    width = (2**63 - 1 - 10**18) // users
    ids = 10**18 + draws.shuffled(users) * width + draws.below_each(np.full(users, width))
    return digit_table(ids, 19)
