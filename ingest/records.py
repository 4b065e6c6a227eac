"""Where records begin and end in CSV text, and what is wrong with those that do not hold together.

A quote opens and closes wherever it stands, as it does for COPY; what COPY would accept and silently change (text
before an opening or after a closing quote) is a fault here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ingest.contract import Column, Contract, CsvFormat
from ingest.errors import NeedsCare
from ingest.header import Header
from ingest.source import from_utf8

# Longer is an open quote, or no CSV; and memory must stay flat.
MAX_RECORD_BYTES = 16 << 20
_LINES_LOOKED_AT = 10


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a record is refused: a reason code, the column where there is one, and a message for whoever delivers it."""

    reason: str
    message: str
    column_name: str | None = None


@dataclass(frozen=True, slots=True)
class Suspect:
    """A record that must be looked at alone.

    ``line_number`` is the physical line on which it starts (the header is line 1), ``record`` its bytes without the
    line end, ``fields`` its values in the contract's order of columns, or None where ``fault`` says why there are none.
    """

    line_number: int
    record: bytes
    fields: tuple[str | None, ...] | None
    fault: Fault | None


def line_end_of(sample: bytes, csv: CsvFormat, header: bytes) -> bytes:
    r"""The line end that most records of a text have: ``\n``, ``\r\n`` or ``\r``.

    Args:
        sample: the text from its first record on, or the beginning of that.
        csv: how it is written; what a quoted field holds ends no record.
        header: the header with its line end, which tells where the sample has none.
    """
    for text in (_without_quoted_fields(sample, csv), _without_quoted_fields(header, csv), sample):
        line_feeds, pairs = text.count(b"\n"), text.count(b"\r\n")
        if text.count(b"\r") - pairs > line_feeds and not header.endswith(b"\n"):
            return b"\r"
        if line_feeds:
            return b"\r\n" if 2 * pairs > line_feeds else b"\n"
    return b"\n"


def _without_quoted_fields(text: bytes, csv: CsvFormat) -> bytes:
    """The text without its well-formed quoted fields: a stray quote must not turn inside and outside around."""
    quote, delimiter = re.escape(csv.quote.encode()), re.escape(csv.delimiter.encode())
    if csv.quote.encode() not in text:
        return text
    inside = rb"[^" + quote + rb"]*+"
    edge = delimiter + rb"\r\n"
    opening = quote + rb"(?<![^" + edge + rb"]" + quote + rb")"
    closing = quote + rb"(?![^" + edge + rb"])|\Z"  # the end of the text may lie within a field
    return re.sub(opening + inside + rb"(?:" + quote * 2 + inside + rb")*(?:" + closing + rb")", b"", text)


class RecordCutter:
    """Cuts blocks of text where a record ends, and counts the records; quick, and stops at the first oddity.

    Args:
        csv: how the text is written.
        line_end: as ``line_end_of`` finds it.
    """

    def __init__(self, csv: CsvFormat, line_end: bytes) -> None:
        self.record_count = 0
        self._quote, self._delimiter = csv.quote.encode(), csv.delimiter.encode()
        self._newline = line_end[-1:]
        self._rest = b""

    def cut(self, block: bytes) -> bytes:
        """The records that are whole by now; the beginning of the next one is kept.

        Raises:
            NeedsCare: a quote stands where none should, or a record has no end.
        """
        text = self._rest + block
        if self._quote in text:
            end, count = self._end_among_quotes(text)
        else:
            end = text.rfind(self._newline) + 1
            count = text.count(self._newline, 0, end)
        self.record_count += count
        self._rest = text[end:]
        if len(self._rest) > MAX_RECORD_BYTES:
            raise NeedsCare("a record without an end")
        return text[:end]

    def last(self) -> bytes:
        """What follows the last line end: a record without one, or nothing."""
        if self._rest:
            whole = self.cut(self._newline)
            if not whole:
                raise NeedsCare("an open quote at the end")
            return whole[: -len(self._newline)]
        return b""

    def _end_among_quotes(self, text: bytes) -> tuple[int, int]:
        codes = np.frombuffer(text, np.uint8)
        quote, delimiter, newline = self._quote[0], self._delimiter[0], self._newline[0]
        quotes, line_ends = np.flatnonzero(codes == quote), np.flatnonzero(codes == newline)
        # A line end with an even number of quotes before it lies outside of them.
        line_ends = line_ends[np.searchsorted(quotes, line_ends) % 2 == 0]
        if not len(line_ends):
            return 0, 0
        end = int(line_ends[-1]) + 1
        quotes = quotes[quotes < end]
        opening, closing = quotes[0::2], quotes[1::2]
        before, after = codes[opening - 1], codes[closing + 1]
        # A doubled quote closes and opens again at once.
        good = (opening == 0) | (before == delimiter) | (before == newline) | (before == quote)
        if not good.all() or not np.isin(after, (delimiter, newline, ord("\r"), quote)).all():
            raise NeedsCare("text outside of quotes")
        return end, len(line_ends)


class RecordReader:
    """Finds the end of one record that may be damaged, and takes it apart.

    Args:
        contract: the feed's contract.
        header: which column each field of the file is.
        csv: how the text is written.
        line_end: as ``line_end_of`` finds it.
    """

    def __init__(self, contract: Contract, header: Header, csv: CsvFormat, line_end: bytes) -> None:
        self._columns = header.columns
        self._quote, self._delimiter = csv.quote.encode(), csv.delimiter.encode()
        self._nulls = {null.encode() for null in csv.nulls}
        self._encoding = csv.encoding
        self._line_end, self._newline = line_end, line_end[-1:]
        self._places = [
            header.columns.index(name) if name in header.columns else None for name in contract.column_names
        ]
        # What an added column may hold is not known.
        self._columns_of_contract = [None if name is None else contract.column(name) for name in header.columns]

    def end_of_record(self, text: bytes, start: int, *, at_end: bool) -> int | None:
        """Where the record that starts here ends, its line end included; None: that needs more text.

        An open quote ends with its line where the records after it only make sense that way: when what it would
        otherwise hold is no record, and one of the next lines is.
        """
        line = self._end_of_line(text, start, at_end=at_end)
        if line is None or text.count(self._quote, start, line) % 2 == 0:
            return line
        if self._is_hopeless(text[start:line]):
            return line
        closed = self._end_where_closed(text, start, line, at_end=at_end)
        if closed is None:
            return line if self._has_all(text, start, at_end=at_end) else None
        if self._holds_together(text[start:closed]):
            return closed
        begin = line
        for _ in range(_LINES_LOOKED_AT):
            if begin >= closed:
                break
            is_record = self._is_record(text, begin, at_end=at_end)
            if is_record is None:
                return None
            if is_record:
                return line
            begin = self._end_of_line(text, begin, at_end=True) or closed
        return closed

    def suspect(self, record: bytes, line_number: int) -> Suspect:
        """Take one record apart; ``record`` may have its line end."""
        if record.endswith(self._line_end):
            record, odd_end = record[: -len(self._line_end)], False
        else:  # another line end, or none at the end of the file
            odd_end = record.endswith(b"\n")
            record = record.removesuffix(b"\n")
        odd_end = odd_end or record.endswith(b"\r")
        fields, fault = self.take_apart(record.removesuffix(b"\r"))
        if fault is None and (odd_end or self._has_line_end(record, fields)):
            right = {b"\n": "LF", b"\r\n": "CR LF", b"\r": "CR"}[self._line_end]
            fault = Fault("mixed_line_end", f"a line end other than that of the file, which is {right}")
        if fault is not None:
            return Suspect(line_number, record, None, fault)
        texts: list[str | None] = []
        for place in self._places:
            value, quoted = fields[place] if place is not None else (b"", False)
            is_null = place is None or (not quoted and value in self._nulls)
            texts.append(None if is_null else value.decode())
        return Suspect(line_number, record, tuple(texts), None)

    def take_apart(self, record: bytes) -> tuple[list[tuple[bytes, bool]], Fault | None]:
        """Values of a record's fields and whether each was quoted, as far as it goes, and what is wrong with it."""
        fields: list[tuple[bytes, bool]] = []
        position = 0
        while True:
            if record.startswith(self._quote, position):
                closing = self._closing_quote(record, position)
                if closing is None:
                    return fields, Fault("unterminated_quote", "a quote is never closed", self._name(len(fields)))
                value = record[position + 1 : closing].replace(self._quote * 2, self._quote)
                fields.append((value, True))
                position = closing + 1
                if position < len(record) and not record.startswith(self._delimiter, position):
                    return fields, self._stray(fields, "text follows a closing quote")
            else:
                end = record.find(self._delimiter, position)
                value = record[position : end if end >= 0 else len(record)]
                fields.append((value, False))
                if self._quote in value:
                    return fields, self._stray(fields, "a quote within a value that does not begin with one")
                position += len(value)
            if position >= len(record):
                return fields, self._fault_of(fields)
            position += 1

    def count_lines(self, text: bytes) -> int:
        """Physical lines that end in a text."""
        return text.count(self._newline)

    def _end_of_line(self, text: bytes, start: int, *, at_end: bool) -> int | None:
        found = text.find(self._newline, start)
        if found >= 0:
            return found + 1
        return len(text) if at_end else None

    def _end_where_closed(self, text: bytes, start: int, line: int, *, at_end: bool) -> int | None:
        quote_count, position = text.count(self._quote, start, line), line
        while quote_count % 2:
            closing = text.find(self._quote, position)
            if closing < 0:
                return None
            end = self._end_of_line(text, closing, at_end=at_end)
            if end is None:
                return None
            quote_count += text.count(self._quote, closing, end)
            position = end
        return position

    def _has_all(self, text: bytes, start: int, *, at_end: bool) -> bool:
        """Whether as much of the text is here as will be looked at."""
        return at_end or len(text) - start >= MAX_RECORD_BYTES

    def _is_record(self, text: bytes, start: int, *, at_end: bool) -> bool | None:
        """Whether a good record starts here; None: that needs more text."""
        line = self._end_of_line(text, start, at_end=at_end)
        if line is None:
            return None
        if text.count(self._quote, start, line) % 2 == 0:
            return self._holds_together(text[start:line])
        if self._is_hopeless(text[start:line]):
            return False
        closed = self._end_where_closed(text, start, line, at_end=at_end)
        if closed is None:
            return False if self._has_all(text, start, at_end=at_end) else None
        return self._holds_together(text[start:closed])

    def _is_hopeless(self, line: bytes) -> bool:
        """Whether the first line of a record has a quote in the wrong place, which no later line can mend."""
        _, fault = self.take_apart(line)
        return fault is not None and fault.reason == "text_outside_quotes"

    def _holds_together(self, record: bytes) -> bool:
        fields, fault = self.take_apart(record.removesuffix(b"\n").removesuffix(b"\r"))
        if fault is not None:
            return False
        return all(
            self._newline not in value or _may_hold(column, value)
            for (value, _), column in zip(fields, self._columns_of_contract, strict=True)
        )

    def _has_line_end(self, record: bytes, fields: list[tuple[bytes, bool]]) -> bool:
        if b"\r" not in record and b"\n" not in record:
            return False
        return any(not quoted and (b"\r" in value or b"\n" in value) for value, quoted in fields)

    def _fault_of(self, fields: list[tuple[bytes, bool]]) -> Fault | None:
        for place, (value, _) in enumerate(fields):
            if b"\0" in value:
                return Fault("nul_byte", "a NUL byte, which no text may hold", self._name(place))
            try:
                value.decode()
            except UnicodeDecodeError as error:
                byte = from_utf8(value[error.start : error.start + 3], self._encoding)[0]
                what = f"is no {self._encoding} (byte 0x{byte:02x}); csv: encoding in the contract may name another"
                return Fault("bad_encoding", what, self._name(place))
        if len(fields) != len(self._columns):
            reason = "missing_column" if len(fields) < len(self._columns) else "extra_column"
            # the first one that is not there
            name = self._name(len(fields)) if reason == "missing_column" else None
            return Fault(reason, f"has {len(fields)} fields, the header {len(self._columns)}", name)
        return None

    def _closing_quote(self, record: bytes, opening: int) -> int | None:
        position = opening + 1
        while True:
            closing = record.find(self._quote, position)
            if closing < 0:
                return None
            if not record.startswith(self._quote, closing + 1):
                return closing
            position = closing + 2

    def _stray(self, fields: list[tuple[bytes, bool]], message: str) -> Fault:
        return Fault("text_outside_quotes", message, self._name(len(fields) - 1))

    def _name(self, place: int) -> str | None:
        return self._columns[place] if place < len(self._columns) else None


def _may_hold(column: Column | None, text: bytes) -> bool:
    """Whether a text of several lines can be a value of the column."""
    if column is None:
        return True
    if column.type != "text":
        return False
    value = text.decode()
    is_short = column.max_length is None or len(value) <= column.max_length
    return is_short and (column.accepted_values is None or value in column.accepted_values)
