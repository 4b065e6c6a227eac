"""Dates whose year is not written in full: which of their numbers is the year is not guessed at.

By default Postgres takes the first one, so that 18/11/26 would be 2018. Where ``csv.date_order`` says that the day or
the month comes first, only six digits in a row are left to guess at: Postgres reads them as YYMMDD all the same.
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


def may_guess_a_year(start: bytes, contract: Contract, header: Header, line_end: bytes) -> bool:
    """Whether the first records may have a date that ``guess_of_a_year`` is true of: then let the server judge.

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
        place
        for place, name in enumerate(header.columns)
        if name is not None and contract.column(name).type in EVENT_TIME_TYPES
    ]
    try:
        values = {row[place] for row in rows for place in places if place < len(row)} - {*csv.nulls}
    except csv_module.Error:  # a field that is too long for a look
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
