"""A pattern for records that Postgres is sure to accept: plainly written, and within every limit of the contract.

Whatever it does not match is not wrong, only not proven: the server judges it alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from ingest.contract import Column, Contract, CsvFormat
from ingest.header import Header
from ingest.records import MAX_RECORD_BYTES

_DAY = (
    rb"(?:(?!0000)\d{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])"
    rb"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    # leap days, but for those of whole centuries
    rb"|\d\d(?:0[48]|[2468][048]|[13579][26])-02-29)"
)
# Offsets could carry the first and last days out of the years 1 to 9999.
_INNER_YEAR = rb"(?!0001|9999)"
_OFFSET = rb"(?:Z|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)?"
_TIME = rb"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?"
_VALUES = {
    "bigint": rb"-?(?:\d{1,18}|[0-8]\d{18}|9[01]\d{17})",
    "integer": rb"-?\d{1,9}",
    "numeric": rb"-?\d{1,100}(?:\.\d{1,100})?",
    "boolean": rb"(?:true|false|TRUE|FALSE|True|False|[tf10])",
    "date": _DAY,
    "timestamptz": _INNER_YEAR + _DAY + rb"(?:[ T]" + _TIME + _OFFSET + rb")?",
}
_IN_VALUES = "-+: "  # the punctuation in them that a contract may state as delimiter or quote


@cache
def plain_records(
    contract: Contract, header: Header, csv: CsvFormat, line_end: bytes, *, ascii_only: bool
) -> re.Pattern[bytes]:
    """Pattern of a run of plain records, the line end of each included; it matches nothing where there is none.

    Args:
        contract: the feed's contract.
        header: which column each field of the file is.
        csv: how the text is written.
        line_end: of the file.
        ascii_only: match no other character; without it the text must be known to be UTF-8.
    """
    quote, delimiter = re.escape(csv.quote.encode()), re.escape(csv.delimiter.encode())
    top = rb"\x80-\xff" if ascii_only else rb""
    inside = rb"[^\0\r\n" + quote + top + rb"]"
    unquoted = rb"[^\0\r\n" + quote + delimiter + top + rb"]"
    end_of_field = rb"(?=" + delimiter + rb"|[\r\n])"
    fields = []
    for name in header.columns:
        column = contract.column(name) if name else None
        # characters are at most as many as bytes
        limits = [limit for limit in (column.max_length, contract.max_bytes(column)) if limit] if column else []
        limit = min([*limits, MAX_RECORD_BYTES]) if limits else None
        fields.append(_field(column, limit, csv, quote, inside, unquoted, end_of_field))
    # COPY of Postgres 17 and older takes a line that holds only \. for the end.
    record = rb"(?!\\\.[\r\n])" + delimiter.join(fields) + re.escape(line_end)
    # Groups are not repeated possessively: early releases of Python 3.11 then keep part of a repetition that failed.
    return re.compile(rb"(?:" + record + rb")*")


def _field(
    column: Column | None,
    limit: int | None,
    csv: CsvFormat,
    quote: bytes,
    inside: bytes,
    unquoted: bytes,
    end_of_field: bytes,
) -> bytes:
    if column is not None and column.format is not None:
        return rb"(?!)"
    copy_null, *other_nulls = (re.escape(null.encode()) + end_of_field for null in csv.nulls)
    nullable = column is None or column.nullable
    # A null that COPY is not told of must not stay a text; one where none may be is for the server to refuse.
    barred = other_nulls if nullable else [*other_nulls, copy_null]
    guard = b"".join(rb"(?!" + null + rb")" for null in barred)
    choices = [copy_null] if nullable else []
    if column is not None and column.type != "text":
        value = _VALUES[column.type]
        # A delimiter or quote that numbers and times have in them too parts them.
        choices += [] if csv.delimiter in _IN_VALUES or csv.quote in _IN_VALUES else [value]
        choices += [] if csv.quote in _IN_VALUES else [quote + value + quote]
    elif column is not None and column.accepted_values is not None:
        # One that holds a quote or a line end is left to the server.
        special = re.compile(r"[\r\n\0" + re.escape(csv.quote) + "]")
        bare = [value.encode() for value in column.accepted_values if not special.search(value)]
        value = _any_of(value for value in bare if csv.delimiter.encode() not in value)
        choices += [value + end_of_field, quote + _any_of(bare) + quote]
    elif limit is None:  # a run at a time: several times as quick as by character
        choices += [unquoted + rb"*+", quote + inside + rb"*+(?:" + quote * 2 + inside + rb"*+)*" + quote]
    else:
        times = b"{0,%d}" % limit
        by_character = rb"(?:" + inside + rb"|" + quote * 2 + rb")" + times
        choices += [unquoted + times + rb"+", quote + inside + times + rb"+" + quote, quote + by_character + quote]
    return guard + (rb"(?:" + rb"|".join(choices) + rb")" if choices else rb"(?!)")


def _any_of(values: Iterable[bytes]) -> bytes:
    """Pattern of any of these texts, of none where there are none."""
    texts = list(map(re.escape, values))
    return rb"(?:" + rb"|".join(texts) + rb")" if texts else rb"(?!)"
