"""Who subscribes to the streaming service, at which price, for how long, and what is paid and watched on a day.

Subscribers are accounts of the apps. Those who came by a channel that keeps its users subscribe more often and cancel
less. Days are numbered as those of the apps' feeds. Nothing here depends on how many days are written.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sample_data.draws import Draws, Int64s, urn
from sample_data.engagement import GOOD_MEDIA, NEVER, OLD_DAYS, POOR_MEDIA, UTM_SOURCES, Accounts
from sample_data.files import DAY
from sample_data.tables import Table

PLANS = ("basic", "standard", "premium")
PRICES = ("7.99", "11.99", "15.99")  # by plan
PLAN_URN = urn({0: 50, 1: 35, 2: 15})
CURRENCIES = ("USD", "")

# Per mille of accounts that subscribe, and of subscriptions that are cancelled in the end, by the medium.
SUBSCRIBE_GOOD, SUBSCRIBE_USUAL, SUBSCRIBE_POOR = 420, 280, 150
CANCEL_GOOD, CANCEL_USUAL, CANCEL_POOR = 350, 500, 720
SUBSCRIBE_DAYS = 21  # after the account was made, at most
RETURN_PER_MILLE = 250  # of who cancelled: a second subscription, three to eight weeks after the end of the first
UPGRADE_PER_MILLE, DOWNGRADE_PER_MILLE = 140, 60
BILLING_DAYS = 30
REFUND_PER_MILLE = 15  # of payments, one to five days later
NO_CURRENCY_PER_MILLE = 50
# Days on which a subscriber watches, each for a sixth of them.
WATCH_PER_MILLE = np.array([80, 150, 250, 350, 450, 600], dtype=np.int64)
NOTICE_DAYS = 10  # a cancellation is known so many days before its end, at most


@dataclass(frozen=True, slots=True)
class Subscriptions(Table):
    """Columns of subscriptions; ``start``, ``end``, ``known_end_from`` and ``changes`` are day numbers.

    ``plan_later`` holds from the day ``changes`` on; ``gone`` is the day from which no extract has the subscriber.
    """

    number: Int64s
    account: Int64s
    start: Int64s
    end: Int64s
    known_end_from: Int64s
    plan: Int64s
    plan_later: Int64s
    changes: Int64s
    eagerness: Int64s
    gone: Int64s

    def plans_on(self, day: int) -> Int64s:
        """The plan of each on a day."""
        return np.where(self.changes <= day, self.plan_later, self.plan)

    def active_on(self, day: int) -> NDArray[np.int64]:
        """Which are subscribed on a day."""
        return np.flatnonzero((self.start <= day) & (self.end > day))


@dataclass(frozen=True, slots=True)
class Payments:
    """Rows of a day; ``amount`` numbers the prices, and after them what is paid back."""

    account: Int64s
    amount: Int64s
    currency: Int64s


@dataclass(frozen=True, slots=True)
class Viewings:
    """Rows of a day; ``tenths`` of an hour."""

    account: Int64s
    tenths: Int64s


def subscribe(accounts: Accounts, seed: int) -> Subscriptions:
    """Draw the subscriptions of all accounts."""
    draws = Draws(seed, 20)
    count = len(accounts.user)
    medium = accounts.utm_source.astype(np.int64)
    subscribes = draws.below(1000, count) < _by_medium(SUBSCRIBE_GOOD, SUBSCRIBE_USUAL, SUBSCRIBE_POOR)[medium]
    subscribes &= accounts.first_at < NEVER * DAY  # who never comes does not subscribe
    signed_up = accounts.signed_up_at // DAY
    start = signed_up + draws.below(SUBSCRIBE_DAYS, count)
    cancels = draws.below(1000, count) < _by_medium(CANCEL_GOOD, CANCEL_USUAL, CANCEL_POOR)[medium]
    length = 5 + np.minimum(draws.below(150, count), draws.below(150, count))
    end = np.where(cancels, start + length, NEVER)
    plan = draws.pick(PLAN_URN, count)
    dice = draws.below(1000, count)
    up, down = dice < UPGRADE_PER_MILLE, dice >= 1000 - DOWNGRADE_PER_MILLE
    plan_later = np.clip(plan + up - down, 0, len(PLANS) - 1)
    changes = start + 15 + draws.below(90, count)
    eagerness = draws.below(len(WATCH_PER_MILLE), count)
    notice = draws.below(NOTICE_DAYS, count)
    returns = cancels & draws.chance(RETURN_PER_MILLE, count)
    start_again = end + 21 + draws.below(36, count)
    # Whose account is deleted was in an extract of a week before; the subscription ends then, and nobody says so.
    gone = np.maximum(accounts.deleted_at // DAY, np.where(returns, start_again, start) + 8)

    account = np.arange(count)
    first = Subscriptions(
        *(account * 2, account, start, np.minimum(end, gone), end - notice, plan, plan_later),
        *(np.where(plan_later == plan, NEVER, changes), eagerness, gone),
    )
    again = Subscriptions(
        *(account * 2 + 1, account, start_again, gone, np.full(count, NEVER)),
        *(plan_later, plan_later, np.full(count, NEVER), eagerness, gone),
    )
    return first.where(subscribes) + again.where(subscribes & returns)


def payments_of_day(subscriptions: Subscriptions, seed: int, day: int) -> Payments:
    """What is billed every thirty days from the start on, and what is paid back of the days before."""
    due, draws = _due(subscriptions, seed, day)
    plans = subscriptions.plans_on(day)[due]
    parts = [(subscriptions.account[due], plans)]
    for delay in range(1, 6):
        earlier, dice = _due(subscriptions, seed, day - delay)
        # one throw says whether a payment is paid back, and after how many days
        refunded = earlier[dice.below(5000, len(earlier)) // REFUND_PER_MILLE == delay]
        parts.append((subscriptions.account[refunded], len(PRICES) + subscriptions.plans_on(day - delay)[refunded]))
    account, amount = (np.concatenate(column) for column in zip(*parts, strict=True))
    currency = np.where(draws.chance(NO_CURRENCY_PER_MILLE, len(account)), 1, 0)
    return Payments(account, amount, currency)


def viewings_of_day(subscriptions: Subscriptions, seed: int, day: int) -> Viewings:
    """Hours of everyone subscribed, on some days."""
    draws = Draws(seed, 22, day)
    active = subscriptions.active_on(day)
    watches = draws.below(1000, len(active)) < WATCH_PER_MILLE[subscriptions.eagerness[active]]
    tenths = 1 + np.minimum(draws.below(60, len(active)), draws.below(60, len(active)))
    return Viewings(subscriptions.account[active][watches], tenths[watches])


def _due(subscriptions: Subscriptions, seed: int, day: int) -> tuple[NDArray[np.int64], Draws]:
    """Which subscriptions are billed on a day, and the day's draws."""
    active = subscriptions.active_on(day)
    return active[(day - subscriptions.start[active]) % BILLING_DAYS == 0], Draws(seed, 21, day + OLD_DAYS)


def _by_medium(good: int, usual: int, poor: int) -> Int64s:
    values = np.full(len(UTM_SOURCES), usual)
    values[list(GOOD_MEDIA)], values[list(POOR_MEDIA)] = good, poor
    return values
