"""What the users of the apps do: visits of a day, and the events in each.

A day is drawn in blocks, so that memory stays flat however many visits it has. Each block has draws of its own, so that
a day is the same whatever is written before or after it, and a feed the same whichever others are written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sample_data.acquisition import times_of_day
from sample_data.draws import Draws, Int64s, urn
from sample_data.engagement import DEVICE_URN, DEVICES, MILES, Accounts, Int32s
from sample_data.files import DAY, SECOND
from sample_data.tables import Table

VISIT_WEIGHTS = (92, 90, 93, 97, 108, 116, 104)  # Monday first; the apps are busiest at weekends
BLOCK_VISITS = 100_000
EVENTS_URN = urn({1: 38, 2: 27, 3: 15, 4: 9, 5: 5, 6: 3, 8: 2, 12: 1})  # events of a visit
USERLESS_PER_TEN_THOUSAND = 20

MILES_TYPES = ("reward_search", "miles_earned", "miles_redeemed", "like", "share")
EARNED, REDEEMED = 1, 2
MILES_TYPE_URN = urn({0: 42, 1: 28, 2: 9, 3: 14, 4: 7})
MILES_FIRST_URN = urn({0: 75, 1: 17, 3: 8})
CATEGORIES = ("flight", "hotel", "dining", "shopping", "car_rental", "")
CATEGORY_URN = urn({0: 34, 1: 22, 2: 18, 3: 17, 4: 9})
CATEGORY_PER_MILLE = np.array([350, 970, 970, 0, 0], dtype=np.int64)  # by event type

APP_TYPES = ("view", "like", "comment", "share", "create")
VIEW = 0
APP_TYPE_URN = urn({0: 56, 1: 23, 2: 11, 3: 6, 4: 4})
DURATION_PER_MILLE = np.array([950, 0, 700, 0, 900], dtype=np.int64)  # by event type; the others take no time


@dataclass(frozen=True, slots=True)
class Events(Table):
    """Columns that both feeds have; ``account`` is one more than the last where nobody is named."""

    account: Int64s
    time: Int64s
    country: Int64s
    device: Int64s


@dataclass(frozen=True, slots=True)
class MilesEvents(Events):
    """Rows of feed events; ``amount`` is in hundredths, below 0 for none."""

    event_type: Int64s
    category: Int64s
    amount: Int64s
    utm_source: Int64s


@dataclass(frozen=True, slots=True)
class AppEvents(Events):
    """Rows of feed app_events; ``duration`` is in seconds, below 0 for none."""

    event_id: Int64s
    session_id: Int64s
    product: Int64s
    event_type: Int64s
    duration: Int64s


@dataclass(frozen=True, slots=True)
class Block:
    """One event per entry, in the order of visits: ``position`` in the visit, ``visit`` by number within the day."""

    account: Int64s
    time: Int64s
    device: Int64s
    product: Int64s
    visit: Int64s
    position: Int64s
    number: int  # of the block


@dataclass(frozen=True, slots=True)
class Crowd:
    """Accounts as the days need them: who is there, and how often."""

    accounts: Accounts
    first_day: Int32s
    by_first: Int64s  # accounts in the order of their first visits
    first_at: Int64s  # the same visits

    @classmethod
    def of(cls, accounts: Accounts) -> Crowd:
        """The crowd of these accounts."""
        by_first = np.argsort(accounts.first_at, kind="stable")
        return cls(accounts, (accounts.first_at // DAY).astype(np.int32), by_first, accounts.first_at[by_first])

    def weights_on(self, day: int) -> Int32s:
        """How much each takes part on a day: not before the day after its first visit, nor after it has left."""
        accounts = self.accounts
        is_away = (accounts.pauses <= day) & (accounts.returns > day)
        return accounts.weight * ((self.first_day < day) & (accounts.leaves > day) & ~is_away)

    def per_million(self, events: int, days: int) -> int:
        """The factor for the visits, first ones excepted, with which so many days have about so many events."""
        accounts = self.accounts
        until = np.minimum(accounts.leaves, days)
        there = np.maximum(until - np.maximum(self.first_day + 1, 0), 0)
        away = np.maximum(np.minimum(accounts.returns, until) - np.minimum(accounts.pauses, until), 0)
        visits = int((np.maximum(there - away, 0).astype(np.int64) * accounts.weight).sum()) // 1000
        first_visits = int(np.searchsorted(self.first_at, days * DAY) - np.searchsorted(self.first_at, 0))
        wanted = events * len(EVENTS_URN) // int(EVENTS_URN.sum())
        return max(0, wanted - first_visits) * 1_000_000 // max(1, visits)


def blocks_of_day(crowd: Crowd, seed: int, day: int, weekday: int, per_million: int) -> Iterator[Block]:
    """All events of a day; ``per_million`` scales the visits, first ones excepted."""
    upto = np.cumsum(crowd.weights_on(day), dtype=np.int64)
    total = int(upto[-1]) if len(upto) else 0
    visits, rest = divmod(total * VISIT_WEIGHTS[weekday] * per_million, 1000 * 100 * 1_000_000)
    visits += int(Draws(seed, 11, day).raw(1)[0]) % (1000 * 100 * 1_000_000) < rest
    first, last = np.searchsorted(crowd.first_at, [day * DAY, (day + 1) * DAY])
    newcomers, arrivals = crowd.by_first[first:last], crowd.first_at[first:last]
    for number, begin in enumerate(range(0, max(visits, 1), BLOCK_VISITS)):
        draws = Draws(seed, 12, day, number)
        count = min(BLOCK_VISITS, visits - begin)
        account = np.searchsorted(upto, np.sort(draws.below_each(np.full(count, total))), side="right")
        time = day * DAY + times_of_day(draws, count)
        if number == 0:
            account, time = np.concatenate([account, newcomers]), np.concatenate([time, arrivals])
        yield _block(crowd.accounts, draws, day, account, time, begin + (len(newcomers) if number else 0), number)


def _block(
    accounts: Accounts, draws: Draws, day: int, account: Int64s, time: Int64s, numbered_from: int, number: int
) -> Block:
    """The events of these visits."""
    visits = len(account)
    size = draws.pick(EVENTS_URN, visits)
    begins = np.cumsum(size) - size
    visit = np.repeat(np.arange(visits), size)
    position: Int64s = np.arange(len(visit), dtype=np.int64) - begins[visit]
    pace = 3 * SECOND + draws.below(45 * SECOND, visits)  # at most, from one event to the next
    jitter = draws.below(SECOND, len(visit))
    jitter[position == 0] = 0
    times = time[visit] + position * pace[visit] + jitter

    device = np.where(draws.chance(100, visits), draws.pick(DEVICE_URN, visits), accounts.at("device", account))
    device[draws.chance(5, visits)] = len(DEVICES) - 1
    product = _products(accounts, draws, day, account)
    kept = times < (day + 1) * DAY  # a visit ends at midnight
    visit = visit[kept]
    return Block(
        account[visit], times[kept], device[visit], product[visit], numbered_from + visit, position[kept], number
    )


def _products(accounts: Accounts, draws: Draws, day: int, account: Int64s) -> Int64s:
    """The product of each visit: half are to the user's own one, the others to those taken up since."""
    which = draws.below(100, len(account))
    second, third = accounts.second_from[account] <= day, accounts.third_from[account] <= day
    product = np.where((which >= 50) & second, accounts.at("second", account), accounts.at("product", account))
    return np.where((which >= 82) & third, accounts.at("third", account), product)


def _countries(accounts: Accounts, account: Int64s, time: Int64s) -> Int64s:
    """Where each user lives at the time."""
    has_moved = accounts.country_changed_at[account] <= time
    return np.where(has_moved, accounts.at("country_later", account), accounts.at("country", account))


def _or_nobody(accounts: Accounts, draws: Draws, account: Int64s) -> Int64s:
    """The accounts, but nobody for a few."""
    return np.where(draws.below(10_000, len(account)) < USERLESS_PER_TEN_THOUSAND, len(accounts.user), account)


def miles_events(accounts: Accounts, block: Block, seed: int, day: int) -> MilesEvents:
    """The rows of feed events in a block."""
    draws = Draws(seed, 13, day, block.number)
    chosen = np.flatnonzero(block.product == MILES)
    account, time, count = block.account[chosen], block.time[chosen], len(chosen)
    is_first = block.position[chosen] == 0
    event_type = np.where(is_first, draws.pick(MILES_FIRST_URN, count), draws.pick(MILES_TYPE_URN, count))
    has_category = draws.below(1000, count) < CATEGORY_PER_MILLE[event_type]
    category = np.where(has_category, draws.pick(CATEGORY_URN, count), len(CATEGORIES) - 1)
    # The least of three draws: small amounts are far more frequent than large ones.
    least = np.minimum(
        np.minimum(draws.below(250_000, count), draws.below(250_000, count)), draws.below(250_000, count)
    )
    amount = np.where(event_type == EARNED, 500 + least, np.where(event_type == REDEEMED, 50_000 + least * 6, -1))
    return MilesEvents(
        account=_or_nobody(accounts, draws, account),
        time=time,
        country=_countries(accounts, account, time),
        device=block.device[chosen],
        event_type=event_type,
        category=category,
        amount=amount,
        utm_source=accounts.at("utm_source", account),
    )


def app_events(accounts: Accounts, block: Block, seed: int, day: int, epoch_day: int) -> AppEvents:
    """The rows of feed app_events in a block; ``epoch_day``, the day since 1970, begins their ids."""
    draws = Draws(seed, 14, day, block.number)
    chosen = np.flatnonzero(block.product != MILES)
    account, time, count = block.account[chosen], block.time[chosen], len(chosen)
    event_type = np.where(block.position[chosen] == 0, VIEW, draws.pick(APP_TYPE_URN, count))
    takes_time = draws.below(1000, count) < DURATION_PER_MILLE[event_type]
    seconds = 1 + np.minimum(draws.below(600, count), draws.below(600, count))
    return AppEvents(
        account=_or_nobody(accounts, draws, account),
        time=time,
        country=_countries(accounts, account, time),
        device=block.device[chosen],
        event_id=epoch_day * 10**10 + block.number * 10**7 + np.arange(count),
        session_id=epoch_day * 10**8 + block.visit[chosen],
        product=block.product[chosen],
        event_type=event_type,
        duration=np.where(takes_time, seconds, -1),
    )
