"""Dates and times that Postgres would take, without a word, for others than they are meant to be.

A year that is not written in full: which of the numbers it is is not guessed at. By default Postgres takes the first
one, so that 18/11/26 would be 2018. Where ``csv.date_order`` says that the day or the month comes first, only six
digits in a row are left to guess at: Postgres reads them as YYMMDD all the same.

An offset behind letters: Postgres takes UTC+2 for the POSIX name of a zone, which counts to the west, so that the time
would be four hours off; and the 0100 of GMT+0100 for a hundred hours.
"""

from __future__ import annotations

import csv as csv_module
import io
import re

from ingest.contract import EVENT_TIME_TYPES, Contract
from ingest.header import Header

# Some hundred records: an export writes all of its dates alike.
LOOKED_AT_BYTES = 1 << 15

# Before the time of day: four digits for themselves, or a date without separators; or four digits after it, as in
# Mon Nov 26 10:10:10 2018 and with a zone between.
_YEAR_IN_FULL = re.compile(
    r"[^:+]*(?<![\dTt])(?:\d{4}|\d{7,})(?!\d)|[^:+]*:\d\d(?::\d\d(?:\.\d+)?)?(?:\s+[A-Za-z+-][\w:/+-]*)?\s+\d{4}(?!\d)"
)
_SIX_DIGITS = re.compile(r"\s*\d{6}(?!\d)")

# Patterns of the server's and of Python's alike, whatever the case.
_MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    "|nov(?:ember)?|dec(?:ember)?"
)
_DAYS = "mon(?:day)?|tue(?:s|sday)?|wed(?:s|nesday)?|thu(?:r|rs|rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?"
RELATIVE_TIMES = "now|today|tomorrow|yesterday"  # refused for what they are, as soon as they are known to be times
_LETTERS_OF_AN_OFFSET = (
    r"(?<![a-z])"
    # From a word that it knows the server parts a plus and digits, but no minus: it takes PM-05 for a zone.
    rf"(?!(?:{_MONTHS}|{_DAYS}|am|pm|ad|bc|{RELATIVE_TIMES})[+\d]|(?:{_MONTHS})-)"
    # the names in the tz database that look like that
    r"(?!(?<=etc/)gmt[-+]\d\d?(?![\w:.])|(?:est5edt|cst6cdt|mst7mdt|pst8pdt)(?![\w:.+-]))"
    # shorter ones without a sign are J2460315 and T10
    r"(?:[a-z]+[./_:]*[-+]|[a-z]{3,})"
)
_OFFSET_BEHIND_LETTERS = re.compile(rf"{_LETTERS_OF_AN_OFFSET}\d", re.IGNORECASE | re.ASCII)
# GMT+0000 is right whatever the sign. A file that begins with it is looked at all the same: summer may follow.
_WRONG_OFFSET = rf"{_LETTERS_OF_AN_OFFSET}(?![0:]+(?![\w:.]))\d"


def may_be_misread(start: bytes, contract: Contract, header: Header, line_end: bytes) -> bool:
    """Whether one of the first records may have a date or time as they are found here: then let the server judge.

    Args:
        start: the file's text from its first record on, or the beginning of that.
        contract: the feed's contract, as it holds for the file.
        header: which column each field of the file is.
        line_end: of the file.
    """
    if len(start) > LOOKED_AT_BYTES:
        end = start.rfind(line_end, 0, LOOKED_AT_BYTES)
        if end < 0:  # a long record
            end = start.find(line_end, LOOKED_AT_BYTES)
        start = start[: end + 1] if end >= 0 else start
    csv = contract.csv
    rows = csv_module.reader(
        io.StringIO(start.decode("utf-8", "replace"), newline=""), delimiter=csv.delimiter, quotechar=csv.quote
    )
    places = [
        (place, contract.column(name).type)
        for place, name in enumerate(header.columns)
        if name is not None and contract.column(name).type in EVENT_TIME_TYPES
    ]
    try:
        found = {(row[place], kind) for row in rows for place, kind in places if place < len(row)}
    except csv_module.Error:  # a field that is too long for a look
        return True
    values = {value for value, _ in found} - {*csv.nulls}
    if any(kind == "timestamptz" and value in values and _OFFSET_BEHIND_LETTERS.search(value) for value, kind in found):
        return True
    if csv.date_order != "YMD":
        return any(map(_SIX_DIGITS.match, values))
    return any(re.search(r"\d", value) and not _YEAR_IN_FULL.match(value) for value in values)


def guess_of_a_year(contract: Contract) -> tuple[str, str]:
    """A condition of the server's on ``field``, a date or time that it has read, and why such a one is refused."""
    if contract.csv.date_order != "YMD":
        return (
            r"field ~ '^\s*\d{6}(?!\d)'",
            f"is read as YYMMDD, not as {contract.csv.date_order}: state the column's format in the contract (DDMMYY)",
        )
    return (
        # epoch and infinity have no digit, and a Julian day no year; one below 1000 may be written with zeros before it
        r"field ~ '\d' and field !~* '^\s*j\d'"
        " and strpos(field, cast(extract(year from cast(field as date)) as text)) = 0",
        "has no year of four digits: deliver it in full, or for CSV state csv.date_order (DMY, MDY) or the column's"
        " format (YY/MM/DD) in the contract",
    )


def offset_behind_letters() -> tuple[str, str, str]:
    """Conditions of the server's on ``field``, and why such a time is refused.

    The first is for a text that it may not have read: Date.toString() of JavaScript has words behind the offset, for
    which it would be called no time at all. The second is for a time that it has read.
    """
    return (
        rf"field ~* '\d:\d\d.*{_WRONG_OFFSET}'",
        rf"field ~* '{_WRONG_OFFSET}'",
        "has an offset behind letters, whose sign would be taken for its opposite: deliver it as +02:00, or Z for UTC",
    )
