"""Write the feeds of subscriptions: payments and viewing_activity as files of a week, the others as full extracts."""

from __future__ import annotations

from collections.abc import Collection, Generator
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from sample_data.draws import Draws, Int64s
from sample_data.engagement import COUNTRIES, NEVER, OLD_DAYS, Accounts
from sample_data.files import DAY, Bytes, WrittenFile, csv_block, digit_table, repeated, text_table, whole_file
from sample_data.subscription import (
    CURRENCIES,
    NOTICE_DAYS,
    PLANS,
    PRICES,
    Subscriptions,
    payments_of_day,
    subscribe,
    viewings_of_day,
)

HEADERS = {
    "subscribers": b"user_id,country,signup_date,plan_type\n",
    "payments": b"payment_id,user_id,payment_date,amount,currency_code\n",
    "subscriptions": b"subscription_id,user_id,start_date,end_date,monthly_price\n",
    "viewing_activity": b"user_id,watch_date,hours_watched\n",
}
SUBSCRIPTION_FEEDS = tuple(HEADERS)
EPOCH = date(1970, 1, 1)
COPIED_PER_MILLE = 8  # an exact copy in the same file


class Texts:
    """All texts that the feeds are made of."""

    def __init__(self, accounts: Accounts, user_texts: Bytes, start: date, days: int) -> None:
        """``user_texts`` has one row per user of the sample."""
        self._accounts = accounts
        self._users = user_texts[accounts.user]
        self._start = start
        ahead = days + OLD_DAYS + NOTICE_DAYS
        self._dates = text_table([*(f",{start + timedelta(days=day - OLD_DAYS)}" for day in range(ahead)), ","])
        self._amounts = text_table([f",{sign}{price}" for sign in ("", "-") for price in PRICES])
        self._currencies = text_table([f",{currency}\n" for currency in CURRENCIES])
        self._prices = text_table([f",{price}\n" for price in PRICES])
        self._plans = text_table([f",{plan}\n" for plan in PLANS])
        self._countries = text_table([f",{country}" for country in COUNTRIES])
        self._hours = text_table([f",{tenths // 10}.{tenths % 10}\n" for tenths in range(62)])

    def payments(self, subscriptions: Subscriptions, seed: int, day: int) -> tuple[bytes, int]:
        """Rows of a day, and how many they are."""
        rows = payments_of_day(subscriptions, seed, day)
        count = len(rows.account)
        epoch_day = (self._start + timedelta(days=day) - EPOCH).days
        order = self._with_copies(seed, 24, day, count)
        number = epoch_day * 10**8 + np.arange(count)
        parts = [
            digit_table(number[order], 13),
            repeated(",", len(order)),
            self._users[rows.account[order]],
            self._dates_of(np.full(len(order), day)),
            self._amounts[rows.amount[order]],
            self._currencies[rows.currency[order]],
        ]
        return csv_block(parts), len(order)

    def viewing_activity(self, subscriptions: Subscriptions, seed: int, day: int) -> tuple[bytes, int]:
        """Rows of a day, and how many they are."""
        rows = viewings_of_day(subscriptions, seed, day)
        order = self._with_copies(seed, 25, day, len(rows.account))
        parts = [
            self._users[rows.account[order]],
            self._dates_of(np.full(len(order), day)),
            self._hours[rows.tenths[order]],
        ]
        return csv_block(parts), len(order)

    def subscribers(self, subscriptions: Subscriptions, day: int) -> tuple[bytes, int]:
        """Everyone who has or had a subscription by the end of a day, and is not deleted."""
        listed = np.flatnonzero((subscriptions.start <= day) & (subscriptions.gone > day))
        account, place = np.unique(subscriptions.account[listed][::-1], return_index=True)  # the latest of two
        plans = subscriptions.plans_on(day)[listed[::-1][place]]
        accounts = self._accounts
        has_moved = accounts.country_changed_at[account] < (day + 1) * DAY
        country = np.where(has_moved, accounts.at("country_later", account), accounts.at("country", account))
        parts = [
            self._users[account],
            self._countries[country],
            self._dates_of(accounts.signed_up_at[account] // DAY),
            self._plans[plans],
        ]
        return csv_block(parts), len(account)

    def subscriptions(self, subscriptions: Subscriptions, day: int) -> tuple[bytes, int]:
        """The subscriptions as they stand at the end of a day."""
        listed = np.flatnonzero((subscriptions.start <= day) & (subscriptions.gone > day))
        is_known = subscriptions.known_end_from[listed] <= day
        parts = [
            repeated("s", len(listed)),
            digit_table(subscriptions.number[listed], 9),
            repeated(",", len(listed)),
            self._users[subscriptions.account[listed]],
            self._dates_of(subscriptions.start[listed]),
            self._dates_of(np.where(is_known, subscriptions.end[listed], NEVER)),
            self._prices[subscriptions.plans_on(day)[listed]],
        ]
        return csv_block(parts), len(listed)

    def _dates_of(self, days: Int64s) -> Bytes:
        """Dates of these days; none for the day that does not come."""
        return self._dates[np.where(days == NEVER, -1, days + OLD_DAYS)]

    def _with_copies(self, seed: int, stream: int, day: int, count: int) -> Int64s:
        """The rows, and some of them once more."""
        rows = np.arange(count)
        return np.concatenate([rows, rows[Draws(seed, stream, day).chance(COPIED_PER_MILLE, count)]])


def write_subscriptions(
    folder: Path,
    accounts: Accounts,
    user_texts: Bytes,
    start: date,
    days: int,
    feeds: Collection[str],
    seed: int,
    written: list[WrittenFile],
) -> Generator[int, None, None]:
    """Write the feeds of subscriptions among ``feeds``, a day at each step; add the finished files to ``written``."""
    texts = Texts(accounts, user_texts, start, days)
    subscriptions = subscribe(accounts, seed)
    rows_of = {"payments": texts.payments, "viewing_activity": texts.viewing_activity}
    of_extract = {"subscribers": texts.subscribers, "subscriptions": texts.subscriptions}
    logs = [feed for feed in rows_of if feed in feeds]
    day = 0
    while day < days:
        today = start + timedelta(days=day)
        monday = today - timedelta(days=today.weekday())
        week = range(day, min(days, day + 7 - today.weekday()))
        with ExitStack() as stack:
            paths = {feed: folder / feed / f"{feed}_{monday}.csv" for feed in logs}
            targets = {feed: stack.enter_context(whole_file(path)) for feed, path in paths.items()}
            counts = dict.fromkeys(logs, 0)
            for feed, target in targets.items():
                target.write(HEADERS[feed])
            for number in week:
                for feed, target in targets.items():
                    block, count = rows_of[feed](subscriptions, seed, number)
                    target.write(block)
                    counts[feed] += count
                if number < week[-1]:
                    yield number
        written += [WrittenFile(paths[feed], feed, counts[feed]) for feed in logs]
        for feed in of_extract:
            if feed in feeds:
                path = folder / feed / f"extract_date={start + timedelta(days=week[-1])}" / f"{feed}.csv"
                with whole_file(path) as target:
                    target.write(HEADERS[feed])
                    block, count = of_extract[feed](subscriptions, week[-1])
                    target.write(block)
                written.append(WrittenFile(path, feed, count))
        yield week[-1]
        day = week[-1] + 1
