"""Who visits and who registers: the behaviour behind the feeds sessions and conversions.

Registrations come first. Each has a *journey*, a few sessions before (or after) it that are made for one outcome of the
attribution rules. Around the journeys lies *background* traffic, drawn day by day, which a user takes part in from one
instant on. Times are integer microseconds since the first midnight of the sample, users are numbered from 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from sample_data.draws import Draws, Int64s, urn
from sample_data.files import DAY, HOUR, SECOND
from sample_data.tables import Table

MEDIA = (
    "DIRECT",
    "ORGANIC SEARCH",
    "PAID SEARCH",
    "IMPRESSION",
    "PAID SOCIAL",
    "SOCIAL",
    "REFERRAL",
    "EMAIL",
    "AFFILIATE",
    "",
)
DIRECT, ORGANIC_SEARCH, PAID_SEARCH, IMPRESSION, PAID_SOCIAL, SOCIAL, REFERRAL, EMAIL, AFFILIATE, EMPTY = range(10)
# Per mille of background sessions; medium is empty in about one of a hundred.
MEDIUM_URN = urn(
    {
        DIRECT: 300,
        ORGANIC_SEARCH: 180,
        PAID_SEARCH: 120,
        IMPRESSION: 120,
        PAID_SOCIAL: 70,
        SOCIAL: 60,
        REFERRAL: 60,
        EMAIL: 50,
        AFFILIATE: 30,
        EMPTY: 10,
    }
)
OTHERS_URN = urn({PAID_SOCIAL: 25, SOCIAL: 20, REFERRAL: 25, EMAIL: 15, AFFILIATE: 10, EMPTY: 5})
WINDOWED_URN = urn({PAID_SEARCH: 1, IMPRESSION: 1, ORGANIC_SEARCH: 1})
PAID_PER_MILLE = np.array([0, 0, 1000, 600, 1000, 0, 0, 0, 1000, 0], dtype=np.int64)  # by medium
WINDOWS = {PAID_SEARCH: 3 * HOUR, IMPRESSION: HOUR, ORGANIC_SEARCH: 12 * HOUR}

WEEKDAY_WEIGHTS = (110, 115, 112, 108, 100, 72, 83)  # Monday first
HOUR_URN = urn(
    dict(enumerate((12, 8, 5, 4, 5, 9, 18, 30, 42, 50, 55, 56, 54, 52, 53, 55, 57, 60, 66, 74, 78, 66, 42, 24)))
)

UNKNOWN = len(MEDIA)  # no medium at all
NO_SESSION, ONLY_AFTER, EXPIRED, OTHERS = 100, 101, 102, 103  # outcomes that are no medium
# Of each hundred registrations, those whose journey is made for the outcome.
OUTCOMES = {
    PAID_SEARCH: 23,
    IMPRESSION: 9,
    ORGANIC_SEARCH: 15,
    DIRECT: 17,
    OTHERS: 13,
    NO_SESSION: 15,
    ONLY_AFTER: 4,
    EXPIRED: 4,
}
REGISTERING_PER_MILLE = 600
TWICE_PER_MILLE = 40
EARLIER_PER_MILLE = (700, 400, 200, 100)  # registrations with a first, second, … earlier session
BACKGROUND_PER_MILLE = 480  # draws per user and average day; a draw of a user who is not yet there is dropped


@dataclass(frozen=True, slots=True)
class Sessions(Table):
    """Columns of sessions, one entry per session."""

    user: Int64s
    time: Int64s
    medium: Int64s


@dataclass(frozen=True, slots=True)
class Registrations:
    """Columns of registrations, earliest first, one entry per registration."""

    user: Int64s
    time: Int64s


@dataclass(frozen=True, slots=True)
class Population:
    """Everything about the users that must be known before the first day is written.

    ``present_from`` is the time from which a user takes part in background traffic: the end for those who never do.
    ``came_by`` is the medium that a user's first registration was made for; UNKNOWN where there is none.
    """

    present_from: Int64s
    registrations: Registrations
    journeys: Sessions
    came_by: Int64s


def day_weights(start: date, days: int) -> Int64s:
    """The weight of each day's traffic, by its weekday; 100 is an average day."""
    return np.array([WEEKDAY_WEIGHTS[(start + timedelta(days=day)).weekday()] for day in range(days)], dtype=np.int64)


def times_of_day(draws: Draws, size: int) -> Int64s:
    """Times within a day in the daily rhythm: quiet at night, busiest in the evening."""
    return draws.pick(HOUR_URN, size) * HOUR + draws.below(HOUR, size)


def populate(users: int, start: date, days: int, seed: int) -> Population:
    """Draw who registers when, the sessions that lead there, and since when each user is around."""
    draws = Draws(seed, 1)
    end = days * DAY
    # Some users were there before the sample starts; the others appear evenly over its days.
    present_from = np.maximum(0, draws.below_each(np.full(users, end * 4 // 3)) - end // 3)

    order = draws.shuffled(users)
    user = order[: -(-users * REGISTERING_PER_MILLE // 1000)]
    count = len(user)
    cumulated = np.cumsum(day_weights(start, days))
    day = np.searchsorted(cumulated, draws.below(int(cumulated[-1]), count), side="right")
    time = day * DAY + times_of_day(draws, count)
    outcome = _outcome_cycle()[np.arange(count) % 100]

    # A registration ends a visitor's first days: traffic before it is short, and absent where it spoils the outcome.
    lead = draws.below_each(np.full(count, 10 * DAY))
    is_plain = np.isin(outcome, (PAID_SEARCH, IMPRESSION, ORGANIC_SEARCH, DIRECT))
    present_from[user] = np.where(is_plain, np.maximum(0, time - lead), time + 1)
    present_from[user[outcome == NO_SESSION]] = end

    twice = draws.chance(TWICE_PER_MILLE, count)
    later = time + HOUR + draws.below_each(np.full(count, 20 * DAY))
    twice &= later < end
    # The second registration has a journey of its own only where that cannot undo what the first was made for.
    has_journey = twice & is_plain & np.roll(is_plain, 1)
    journeys = Sessions.together(
        [
            _journeys(draws, user, time, outcome, end),
            _journeys(draws, user[has_journey], later[has_journey], np.roll(outcome, 1)[has_journey], end),
        ]
    )
    journeys = journeys.where((journeys.time >= 0) & (journeys.time < end))
    journeys = journeys.in_order_of(journeys.time)

    all_users, all_times = np.concatenate([user, user[twice]]), np.concatenate([time, later[twice]])
    in_order = np.argsort(all_times, kind="stable")
    came_by = _came_by(users, user, time, outcome, journeys)
    return Population(present_from, Registrations(all_users[in_order], all_times[in_order]), journeys, came_by)


def background(population: Population, draws: Draws, day: int, weight: int) -> Sessions:
    """The background sessions of one day, in no order."""
    users = len(population.present_from)
    count = users * BACKGROUND_PER_MILLE * weight // 100_000
    count += int(draws.below(2 + count // 10, 1)[0])  # days differ by up to a tenth
    # The lower of two draws: some users come far more often than others.
    user = np.minimum(draws.below(users, count), draws.below(users, count))
    time = day * DAY + times_of_day(draws, count)
    is_there = time >= population.present_from[user]
    return Sessions(user, time, draws.pick(MEDIUM_URN, count)).where(is_there)


def _came_by(users: int, user: Int64s, time: Int64s, outcome: Int64s, journeys: Sessions) -> Int64s:
    """The medium of every user's first registration, as the default rules would find it in the journeys alone."""
    registered_at = np.zeros(users, dtype=np.int64)
    registered_at[user[outcome == OTHERS]] = time[outcome == OTHERS]
    came_by = np.full(users, UNKNOWN)
    is_touch = (journeys.time <= registered_at[journeys.user]) & np.isin(journeys.medium, OTHERS_URN)
    came_by[journeys.user[is_touch]] = journeys.medium[is_touch]  # of several the last one stays, and is the latest
    is_medium = outcome < len(MEDIA)
    came_by[user[is_medium]] = outcome[is_medium]
    return came_by


def _outcome_cycle() -> Int64s:
    """A hundred outcomes, evenly mixed: each kind occurs among the first eight, and any run of 100 has all shares."""
    spread = [((2 * n + 1) / count, -count, outcome) for outcome, count in OUTCOMES.items() for n in range(1, count)]
    return np.array([*OUTCOMES, *(outcome for _, _, outcome in sorted(spread))], dtype=np.int64)


def _journeys(draws: Draws, user: Int64s, time: Int64s, outcome: Int64s, end: int) -> Sessions:
    """The sessions of these registrations that are made for their outcomes, some of them before time 0."""
    parts = []
    for medium, window in WINDOWS.items():
        chosen = outcome == medium
        parts.append(_windowed(draws, user[chosen], time[chosen], medium, window))

    chosen = outcome == DIRECT
    parts.append(_closing(draws, user[chosen], time[chosen], 5 * DAY, np.array([DIRECT])))
    chosen = outcome == OTHERS
    parts.append(_closing(draws, user[chosen], time[chosen], 5 * DAY, OTHERS_URN))

    # Sessions too old for every rule; a tenth misses its window by one microsecond.
    chosen = outcome == EXPIRED
    count = int(chosen.sum())
    medium_of = draws.pick(WINDOWED_URN, count)
    window_of = np.array([WINDOWS.get(medium, 0) for medium in range(len(MEDIA))], dtype=np.int64)[medium_of]
    overdue = np.where(draws.chance(100, count), 1, 1 + draws.below_each(np.full(count, 5 * DAY)))
    parts.append(Sessions(user[chosen], time[chosen] - window_of - overdue, medium_of))
    parts.append(_earlier(draws, user[chosen], time[chosen], WINDOWED_URN, 400))

    # The first session comes after the registration, but before the sample ends; see background for the rest.
    chosen = outcome == ONLY_AFTER
    wait = 1 + draws.below_each(np.minimum(3 * DAY, np.maximum(1, end - time[chosen] - 1)))
    parts.append(Sessions(user[chosen], time[chosen] + wait, draws.pick(MEDIUM_URN, len(wait))))

    for kinds, media in (
        ((PAID_SEARCH, IMPRESSION, ORGANIC_SEARCH, DIRECT), MEDIUM_URN),
        ((OTHERS,), np.concatenate([OTHERS_URN, np.repeat(WINDOWED_URN, 12)])),
    ):
        chosen = np.isin(outcome, kinds)
        parts += [_earlier(draws, user[chosen], time[chosen], media, per_mille) for per_mille in EARLIER_PER_MILLE]
    return Sessions.together(parts)


def _windowed(draws: Draws, user: Int64s, time: Int64s, medium: int, window: int) -> Sessions:
    """A session of the medium inside its window, often shortly before, in one of 50 cases exactly at the boundary.

    Three of ten have a younger direct session besides, so that priority and recency disagree.
    """
    count = len(user)
    age = SECOND + np.minimum(draws.below_each(np.full(count, window)), draws.below_each(np.full(count, window)))
    age = np.where(draws.chance(20, count), window, np.minimum(age, window))
    won = Sessions(user, time - age, np.full(count, medium))
    has_younger = draws.chance(300, count)
    younger = Sessions(user, time - age // 2, np.full(count, DIRECT)).where(has_younger)
    return won + younger


def _closing(draws: Draws, user: Int64s, time: Int64s, oldest: int, media: Int64s) -> Sessions:
    """One session per registration, up to ``oldest`` before it; in one of 50 cases at the very same instant."""
    count = len(user)
    age = np.minimum(draws.below_each(np.full(count, oldest)), draws.below_each(np.full(count, oldest)))
    return Sessions(user, time - np.where(draws.chance(20, count), 0, age), draws.pick(media, count))


def _earlier(draws: Draws, user: Int64s, time: Int64s, media: Int64s, per_mille: int) -> Sessions:
    """For some of the registrations a session that is too old for every window, up to two weeks."""
    count = len(user)
    age = 12 * HOUR + 1 + draws.below_each(np.full(count, 14 * DAY))
    return Sessions(user, time - age, draws.pick(media, count)).where(draws.chance(per_mille, count))
