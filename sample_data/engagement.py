"""Who has an account in the apps: how often each comes, for how long, in which of them, and what is known of each.

Accounts are those of the users of sessions and conversions: most who register there, and some who were there before or
come straight to the apps. Times are integer microseconds since the first midnight of the apps' feeds, days are numbered
from it. Nothing here depends on how many days are written, so that a longer sample repeats the days of a shorter one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sample_data.acquisition import (
    AFFILIATE,
    DIRECT,
    EMAIL,
    EMPTY,
    IMPRESSION,
    ORGANIC_SEARCH,
    PAID_SEARCH,
    PAID_SOCIAL,
    REFERRAL,
    SOCIAL,
    UNKNOWN,
    Population,
    times_of_day,
)
from sample_data.draws import Draws, Int64s, urn
from sample_data.files import DAY, HOUR
from sample_data.tables import Table

PRODUCTS = ("miles", "facebook", "instagram", "messenger", "whatsapp", "threads")
MILES = 0
MAIN_URN = urn({0: 30, 1: 22, 2: 20, 3: 8, 4: 14, 5: 6})
FURTHER_URN = urn({0: 20, 1: 15, 2: 20, 3: 20, 4: 15, 5: 10})

# The sources that a tracker names; the media come first, in their order, then what only the apps know.
APP_STORE, PLAY_STORE = UNKNOWN + 1, UNKNOWN + 2
UTM_SOURCES = {
    DIRECT: "direct",
    ORGANIC_SEARCH: "organic_search",
    PAID_SEARCH: "google_ads",
    IMPRESSION: "display",
    PAID_SOCIAL: "meta_ads",
    SOCIAL: "social",
    REFERRAL: "referral",
    EMAIL: "newsletter",
    AFFILIATE: "affiliate",
    EMPTY: "",
    UNKNOWN: "",
    APP_STORE: "app_store",
    PLAY_STORE: "play_store",
}
STORE_URN = urn({APP_STORE: 4, PLAY_STORE: 4, UNKNOWN: 2})

COUNTRIES = ("US", "BR", "IN", "GB", "DE", "FR", "MX", "ID", "JP", "ES", "NG", "PL", "")
COUNTRY_URN = urn(dict(enumerate((240, 140, 150, 90, 80, 60, 60, 60, 40, 40, 25, 15))))
AGE_GROUPS = ("13-17", "18-24", "25-34", "35-44", "45-54", "55+", "")
AGE_URN = urn(dict(enumerate((6, 26, 30, 18, 12, 8))))
GENDERS = ("female", "male", "other", "")
GENDER_URN = urn({0: 49, 1: 48, 2: 3})
SEGMENTS = ("power", "regular", "casual", "")
DEVICES = ("ios", "android", "web", "")
DEVICE_URN = urn({0: 38, 1: 47, 2: 15})

# Per mille of users: who has an account, and who of these never uses it.
ACCOUNT_OF_REGISTERED, ACCOUNT_OF_OTHERS, NEVER_SEEN = 920, 600, 50
OLD_PER_MILLE = 350  # of the others with an account: was there before the first day
OLD_DAYS = 400  # before the first day, at most

# Visits in a thousand days, each for a twentieth of the accounts: the most eager ones make most of the traffic.
VISITS = (3400, 2200, 1250, 860, 660, 540, 450, 380, 330, 285, 250, 220, 195, 172, 152, 135, 120, 107, 95, 85)

# Per mille who stay for good, by the medium they came by; the others leave within two months, half in the first week.
STAY_GOOD, STAY_USUAL, STAY_POOR = 640, 460, 260
GOOD_MEDIA, POOR_MEDIA = (ORGANIC_SEARCH, REFERRAL), (IMPRESSION, PAID_SOCIAL)
PAUSE_PER_MILLE = 350  # stay away for three to seven weeks, once
SECOND_PER_MILLE, THIRD_PER_MILLE = 650, 400  # use another product; of these, use a third one
ADOPTION_DAYS = 20

# An attribute changes on a day from 1 to this after the account was made: some of them within the sample.
SEGMENT_DAYS, COUNTRY_DAYS, AGE_DAYS, DELETION_DAYS = 400, 1500, 2000, 2500
NULL_PER_MILLE = {"country": 5, "age_group": 30, "gender": 40, "segment": 10}
ABSENT_PER_MILLE = 5  # active, and in no extract of app_users
NEVER = 1 << 24  # a day that does not come

Int8s = NDArray[np.int8]
Int32s = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Accounts(Table):
    """Columns of accounts, oldest first, as narrow as can be; a ``_later`` attribute holds from ``_changed_at`` on.

    ``first_at`` is the first visit (before time 0: was there already), ``leaves``, ``pauses``, ``returns`` and the days
    of adoption are day numbers, ``weight`` is visits in a thousand days.
    """

    user: Int32s
    utm_source: Int8s
    signed_up_at: Int64s
    first_at: Int64s
    weight: Int32s
    leaves: Int32s
    pauses: Int32s
    returns: Int32s
    product: Int8s
    second: Int8s
    second_from: Int32s
    third: Int8s
    third_from: Int32s
    device: Int8s
    gender: Int8s
    country: Int8s
    country_later: Int8s
    country_changed_at: Int64s
    age_group: Int8s
    age_group_later: Int8s
    age_group_changed_at: Int64s
    segment: Int8s
    segment_later: Int8s
    segment_changed_at: Int64s
    deleted_at: Int64s
    is_absent: NDArray[np.bool_]

    def at(self, name: str, accounts: Int64s) -> Int64s:
        """A column's values of these accounts, wide enough to calculate with."""
        values: Int64s = getattr(self, name)[accounts].astype(np.int64)
        return values

    def listed_on(self, day: int) -> Int64s:
        """Which accounts an extract at the end of the day lists."""
        end = (day + 1) * DAY
        return np.flatnonzero((self.signed_up_at < end) & (self.deleted_at >= end) & ~self.is_absent)


def open_accounts(population: Population, days: int, lead_days: int, seed: int) -> Accounts:
    """Draw the accounts of a population whose registrations begin ``lead_days`` after the apps and last ``days``."""
    draws = Draws(seed, 10)
    user, signed_up_at, utm_source = _signups(population, draws, days, lead_days)
    count = len(user)
    is_old = signed_up_at < 0
    wait = np.where(draws.chance(750, count), draws.below(HOUR // 2, count), draws.below_each(np.full(count, 3 * DAY)))
    first_at = np.where(is_old, -1, signed_up_at + 1 + wait)
    first_at[draws.chance(NEVER_SEEN, count)] = NEVER * DAY
    first_day = first_at // DAY

    eagerness = draws.below(len(VISITS), count)
    weight = np.array(VISITS, dtype=np.int64)[eagerness] * (80 + draws.below(41, count)) // 100

    deleted_at = signed_up_at + DAY + draws.below_each(np.full(count, DELETION_DAYS * DAY))
    deleted_at = np.where(is_old, np.maximum(deleted_at, 0) + draws.below_each(np.full(count, 300 * DAY)), deleted_at)
    deleted_at = np.where(first_at < NEVER * DAY, np.maximum(deleted_at, first_at + DAY), deleted_at)
    leaves = np.minimum(_leaving(draws, utm_source, first_day, is_old), deleted_at // DAY)
    pauses = first_day + 5 + draws.below(60, count)
    pauses[~draws.chance(PAUSE_PER_MILLE, count)] = NEVER

    product = draws.pick(MAIN_URN, count)
    second_from = first_day + 1 + draws.below(ADOPTION_DAYS, count)
    second_from[~draws.chance(SECOND_PER_MILLE, count)] = NEVER
    third_from = second_from + 1 + draws.below(ADOPTION_DAYS, count)
    third_from[~draws.chance(THIRD_PER_MILLE, count)] = NEVER

    country, country_later = _with_nulls(draws, "country", draws.pick(COUNTRY_URN, count), COUNTRY_URN, COUNTRIES)
    age_group = draws.pick(AGE_URN, count)
    older = np.minimum(age_group + 1, len(AGE_GROUPS) - 2)
    segment = np.where(eagerness < 2, 0, np.where(eagerness < 9, 1, 2))
    other_segment = np.where(segment == 1, draws.pick(np.array([0, 2]), count), 1)
    no_age = draws.chance(NULL_PER_MILLE["age_group"], count)
    no_segment = draws.chance(NULL_PER_MILLE["segment"], count)
    return Accounts(
        user=user.astype(np.int32),
        utm_source=utm_source.astype(np.int8),
        signed_up_at=signed_up_at,
        first_at=first_at,
        weight=weight.astype(np.int32),
        leaves=leaves.astype(np.int32),
        pauses=pauses.astype(np.int32),
        returns=(pauses + 21 + draws.below(28, count)).astype(np.int32),
        product=product.astype(np.int8),
        second=draws.pick(FURTHER_URN, count).astype(np.int8),
        second_from=second_from.astype(np.int32),
        third=draws.pick(FURTHER_URN, count).astype(np.int8),
        third_from=third_from.astype(np.int32),
        device=draws.pick(DEVICE_URN, count).astype(np.int8),
        gender=_or_null(draws.pick(GENDER_URN, count), draws.chance(NULL_PER_MILLE["gender"], count), GENDERS),
        country=country,
        country_later=country_later,
        country_changed_at=_change(draws, signed_up_at, COUNTRY_DAYS, country != country_later),
        age_group=_or_null(age_group, no_age, AGE_GROUPS),
        age_group_later=_or_null(older, no_age, AGE_GROUPS),
        age_group_changed_at=_change(draws, signed_up_at, AGE_DAYS, (older != age_group) & ~no_age),
        segment=_or_null(segment, no_segment, SEGMENTS),
        segment_later=_or_null(other_segment, no_segment, SEGMENTS),
        segment_changed_at=_change(draws, signed_up_at, SEGMENT_DAYS, ~no_segment),
        deleted_at=deleted_at,
        is_absent=draws.chance(ABSENT_PER_MILLE, count),
    ).in_order_of(signed_up_at)  # of their making


def _signups(population: Population, draws: Draws, days: int, lead_days: int) -> tuple[Int64s, Int64s, Int64s]:
    """The users with an account, when they made it, and the source they came from."""
    users = len(population.present_from)
    first_registration = np.full(users, -1, dtype=np.int64)
    registrations = population.registrations
    first_registration[registrations.user[::-1]] = registrations.time[::-1]  # of two the earlier one stays
    is_registered = first_registration >= 0

    # The others come evenly, for a while beyond the registrations too.
    day = draws.below((lead_days + days) * 5 // 4 + 1, users)
    before = -1 - draws.below_each(np.full(users, OLD_DAYS * DAY))
    own_way = np.where(draws.chance(OLD_PER_MILLE, users), before, day * DAY + times_of_day(draws, users))
    signed_up_at = np.where(is_registered, first_registration + lead_days * DAY, own_way)
    utm_source = np.where(is_registered, population.came_by, draws.pick(STORE_URN, users))
    limit = np.where(is_registered, ACCOUNT_OF_REGISTERED, ACCOUNT_OF_OTHERS)
    user = np.flatnonzero(draws.below(1000, users) < limit)
    return user, signed_up_at[user], utm_source[user]


def _leaving(draws: Draws, utm_source: Int64s, first_day: Int64s, is_old: NDArray[np.bool_]) -> Int64s:
    """The day from which each account is not used any more."""
    count = len(utm_source)
    stay = np.full(len(UTM_SOURCES), STAY_USUAL)
    stay[list(GOOD_MEDIA)], stay[list(POOR_MEDIA)] = STAY_GOOD, STAY_POOR
    stays = draws.below(1000, count) < np.where(is_old, 850, stay[utm_source])
    soon, later = 1 + draws.below(7, count), 8 + np.minimum(draws.below(53, count), draws.below(53, count))
    lifetime = np.where(draws.chance(500, count), soon, later)
    lifetime[is_old] = 1 + draws.below(200, count)[is_old]
    return np.where(stays, NEVER, first_day + lifetime)


def _change(draws: Draws, since: Int64s, days: int, happens: NDArray[np.bool_]) -> Int64s:
    """When an attribute changes, or never."""
    at = since + DAY + draws.below_each(np.full(len(since), days * DAY))
    return np.where(happens, at, NEVER * DAY)


def _or_null(values: Int64s, is_null: NDArray[np.bool_], texts: tuple[str, ...]) -> Int8s:
    """The values, or the last text, which is the empty one."""
    return np.where(is_null, len(texts) - 1, values).astype(np.int8)


def _with_nulls(draws: Draws, name: str, first: Int64s, choices: Int64s, texts: tuple[str, ...]) -> tuple[Int8s, Int8s]:
    """The values now and after a change, both null for the same accounts."""
    is_null = draws.chance(NULL_PER_MILLE[name], len(first))
    return _or_null(first, is_null, texts), _or_null(draws.pick(choices, len(first)), is_null, texts)
