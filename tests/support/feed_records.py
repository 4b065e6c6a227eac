"""Random records of every feed: what its files may hold, the odd cases included.

A feed of another domain takes part in the consistency test with a generator here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

START = datetime(2024, 1, 29, tzinfo=UTC)  # two months
DAYS = 10
USERS = 60
MEDIA = ["PAID SEARCH", " paid search", "IMPRESSION", "Organic Search", "DIRECT", "SOCIAL", "", "  "]
MICROSECOND = timedelta(microseconds=1)
# Around which the rules of attribution, and the days, change their minds.
WINDOWS = [timedelta(0), timedelta(hours=1), timedelta(hours=3), timedelta(hours=12), timedelta(days=2)]


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a file: the instant it is about, and its line."""

    at: datetime
    line: str


Generator = Callable[[random.Random], Iterator[Record]]


def sessions(draw: random.Random) -> Iterator[Record]:
    """Sessions at the edges of the windows before a registration, and at any time; the medium may be blank."""
    for _ in range(450):
        at = (
            draw.choice([instant(draw), instant(draw) - draw.choice(WINDOWS)])
            + draw.choice([-1, 0, 0, 1]) * MICROSECOND
        )
        yield Record(at, f"{user(draw)},{text(draw, at)},{draw.choice(['true', 'false'])},{draw.choice(MEDIA)}")


def conversions(draw: random.Random) -> Iterator[Record]:
    """Registrations: users register once, again, or in the very instant in which another does."""
    for _ in range(90):
        at = instant(draw)
        yield Record(at, f"{user(draw)},{text(draw, at)}")


def events(draw: random.Random) -> Iterator[Record]:
    """Events of the miles app: nobody's, without a country, with amounts of several spellings."""
    for _ in range(160):
        at = instant(draw)
        who = draw.choice(["", "  ", *[str(user(draw))] * 8])
        amount = draw.choice(["", "1.50", "1.5", "-3"])
        kind = f"{draw.choice(['miles_earned', 'reward_search'])},{draw.choice(['flight', '', ' flight'])},{amount}"
        rest = f"{draw.choice(['ios', 'web'])},,{draw.choice(['FR', 'DE', ''])}"
        yield Record(at, f"{text(draw, at)},{who},{kind},{rest}")


def app_events(draw: random.Random) -> Iterator[Record]:
    """Events of two apps, by users of the other feeds and of none; sessions meet midnight."""
    for number in range(160):
        at = instant(draw)
        who = draw.choice(["", *[str(user(draw))] * 8])
        kind = draw.choice(["view", "like", '" "'])
        what = f"{draw.choice(['facebook', 'threads', 'whatsapp', 'instagram'])},{kind}"
        rest = f"{draw.choice(['s1', 's2', ''])},{draw.choice(['2.5', ''])},{draw.choice(['ios', 'web'])}"
        yield Record(
            at,
            f"e{number % 150},{who},{what},{text(draw, at)},{rest},{draw.choice(['FR', 'FR', 'DE', 'JP', 'NL', 'PE'])}",
        )


def app_users(draw: random.Random) -> Iterator[Record]:
    """Accounts, each on some days' extracts: they change, go and come back, and may stand in an extract twice."""
    for _ in range(160):
        at = START + timedelta(days=draw.randrange(DAYS))
        attributes = f"{draw.choice(['FR', 'DE', ''])},18-24,,{draw.choice(['new', 'core'])}"
        yield Record(at, f"{10**18 + draw.randrange(12)},2024-01-01,{attributes},{draw.choice(['', '2024-01-29'])}")


def subscribers(draw: random.Random) -> Iterator[Record]:
    """Subscribers on some days' extracts: they move, change plans, go and come back."""
    for _ in range(160):
        at = START + timedelta(days=draw.randrange(DAYS))
        yield Record(at, f"{10**18 + draw.randrange(14)},{draw.choice(['FR', ' DE', ''])},,{draw.choice(['a', 'b'])}")


def payments(draw: random.Random) -> Iterator[Record]:
    """Payments and refunds in two currencies, in two spellings of one amount; ids come again with other content."""
    for number in range(160):
        at = START + timedelta(days=draw.randrange(DAYS))
        amount = f"{draw.choice(['9.9', '9.90', '-5', '10'])},{draw.choice(['', 'USD', 'eur'])}"
        yield Record(at, f"p{number % 140},{10**18 + draw.randrange(20)},{at:%Y-%m-%d},{amount}")


def subscriptions(draw: random.Random) -> Iterator[Record]:
    """Subscriptions on some days' extracts: starts, ends and prices move, and one may stand in an extract twice."""
    for _ in range(160):
        at = START + timedelta(days=draw.randrange(DAYS))
        number = draw.randrange(24)
        start = START + timedelta(days=draw.choice([-75, -5, 0, 3]))
        end = draw.choice(["", f"{start + timedelta(days=draw.choice([-1, 0, 2, 45])):%Y-%m-%d}"])
        price = draw.choice(["0", "10", "10.0", "15"])
        yield Record(at, f"s{number},{10**18 + number % 9},{start:%Y-%m-%d},{end},{price}")


def viewing_activity(draw: random.Random) -> Iterator[Record]:
    """Viewing, several times a day too, and nobody's."""
    for _ in range(200):
        at = START + timedelta(days=draw.randrange(DAYS))
        who = draw.choice([" ", *[str(10**18 + draw.randrange(20))] * 9])
        yield Record(at, f"{who},{at:%Y-%m-%d},{draw.choice(['1', '1.0', '0.25', '3'])}")


GENERATORS: dict[str, Generator] = {
    **{"sessions": sessions, "conversions": conversions},
    **{"events": events, "app_events": app_events, "app_users": app_users},
    **{"subscribers": subscribers, "payments": payments},
    **{"subscriptions": subscriptions, "viewing_activity": viewing_activity},
}
FULL_EXTRACTS = ("app_users", "subscribers", "subscriptions")


def path_of(feed: str, day: str, name: str) -> str:
    """Where a file lands; a full extract in a folder of its day."""
    return f"{feed}/extract_date={day}/{name}" if feed in FULL_EXTRACTS else f"{feed}/{name}"


def user(draw: random.Random) -> int:
    """A user whom all feeds know."""
    return 10**18 + draw.randrange(USERS)


def instant(draw: random.Random) -> datetime:
    """A time that others share: on the hour, and every tenth at or beside the midnight between two days."""
    at = START + timedelta(days=draw.randrange(DAYS))
    if draw.randrange(10) == 0:
        return at + draw.choice([-1, 0, 1]) * MICROSECOND
    return at + timedelta(hours=draw.randrange(24))


def text(draw: random.Random, at: datetime) -> str:
    """The same instant in one of several spellings."""
    if draw.randrange(2):
        return at.strftime("%Y-%m-%d %H:%M:%S.%f")
    return (at + timedelta(hours=5, minutes=30)).strftime("%Y-%m-%d %H:%M:%S.%f+05:30")
