"""How an id is found in a text that is no column of users: one rule for the ledger, for tables and for files."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Shorter ids are the same text as many a value that is nobody.
LONG_ID = 6


def long_ids(users: Sequence[str]) -> list[str]:
    """The ids that are sure to mean these people wherever they stand as words of their own."""
    return [user for user in users if len(user) >= LONG_ID]


def patterns(users: Sequence[str]) -> list[str]:
    """Regular expressions that together find a long id as a word, and a short one where it is quoted."""
    long, short = long_ids(users), [user for user in users if len(user) < LONG_ID]
    return [word(long)] * bool(long) + [quoting(short)] * bool(short)


def word(users: Sequence[str]) -> str:
    """A regular expression, of Postgres and of Python, for an id that is no part of another text: its first group."""
    return rf"(?<![\w@.-])({any_of(users)})(?![\w@-])"


def quoting(users: Sequence[str]) -> str:
    """The same for an id between quotes, brackets or commas, as messages, literals of SQL and JSON have it."""
    return rf"""["'(=,] ?({any_of(users)})(?=\\?[)"',])"""


def any_of(users: Sequence[str]) -> str:
    """A regular expression for any of the ids, the longest that fits."""
    return "|".join(map(re.escape, sorted(users, key=len, reverse=True)))


def masked(text: str, users: Sequence[str]) -> str:
    """A text without these users' ids, where they stand as words of their own."""
    return re.sub(word(users), "…", text)
