"""A delivered file as a stream of records: at full speed, or with care.

At full speed the text is only cut where records end. With care, records that are sure to be accepted go on, and every
other one is put aside for the server to judge alone.
"""

from __future__ import annotations

import csv as csv_module
import io
from collections.abc import Iterable, Iterator

from ingest.contract import Contract
from ingest.errors import FileRefused, NeedsCare
from ingest.header import check_owner, match_header, positional
from ingest.judge import Spool
from ingest.misread import may_be_misread
from ingest.plain import plain_records
from ingest.records import MAX_RECORD_BYTES, RecordCutter, RecordReader, line_end_of
from ingest.source import BLOCK_BYTES, Source

# What files begin with that were given the wrong name, or another encoding than the contract says.
_OTHER_KINDS = {
    b"\x1f\x8b": "it is gzip; name it .csv.gz",
    b"\x28\xb5\x2f\xfd": "it is zstd; name it .csv.zst",
    b"PAR1\x15": "it is Parquet; name it .parquet",
    b"PK\x03\x04": "it is a zip archive or a spreadsheet; unpack it, or save it as CSV",
    b"\xff\xfe": "it is UTF-16; say csv: {encoding: utf-16} in the contract",
    b"\xfe\xff": "it is UTF-16; say csv: {encoding: utf-16} in the contract",
}


class RecordStream:
    """The records of one file that nobody has read from yet.

    Args:
        source: the file, at its start.
        contract: the feed's contract.
        contracts: those of all feeds, one of which the file may really be of.

    Raises:
        FileRefused: the file is empty, its header cannot be taken, or is that of another feed.
    """

    def __init__(self, source: Source, contract: Contract, contracts: Iterable[Contract]) -> None:
        self._source, self._contract = source, contract
        self.csv = source.csv
        start = source.read_block(BLOCK_BYTES)
        self.field_names: list[str] | None = None
        header_bytes = b""
        if self.csv.header:
            self.field_names, header_bytes = self._read_header(start)
            self.header = match_header(self.field_names, contract)
            self._check_no_records(self.header.added, len(self.field_names))
            check_owner(self.field_names, self.header, contract, contracts)
        else:
            self.header = positional(contract)
        self._first = start[len(header_bytes) :]
        self.line_end = source.line_end or line_end_of(self._first, self.csv, header_bytes)
        self._header_lines = max(header_bytes.count(self.line_end[-1:]), 1 if header_bytes else 0)
        self.record_count = 0

    def records(self) -> Iterator[bytes]:
        """Whole records in chunks, as they stand in the file.

        Raises:
            NeedsCare: quotes are not where they should be, or a date or time may be misread.
        """
        if may_be_misread(self._first, self._contract, self.header, self.line_end):
            raise NeedsCare("a date or time that may be misread")
        cutter = RecordCutter(self.csv, self.line_end)
        for block in self._blocks():
            if chunk := cutter.cut(block):
                self.record_count = cutter.record_count
                yield chunk
        if last := cutter.last():
            self.record_count = cutter.record_count
            yield last + self.line_end

    def sure_records(self, suspects: Spool) -> Iterator[bytes]:
        """Records that the server is sure to accept, in chunks; all others are put aside.

        Raises:
            FileRefused: a record is too long to be looked at.
        """
        reader = RecordReader(self._contract, self.header, self.csv, self.line_end)
        pattern = {
            ascii_only: plain_records(self._contract, self.header, self.csv, self.line_end, ascii_only=ascii_only)
            for ascii_only in (True, False)
        }
        line_number, text = 1 + self._header_lines, b""
        blocks = self._blocks()
        at_end = False
        while not at_end:
            block = next(blocks, b"")
            at_end = not block
            text += block
            plain = pattern[not _is_utf8(text[: text.rfind(self.line_end[-1:]) + 1])]
            position, chunk = 0, []
            while position < len(text):
                match = plain.match(text, position)
                end = match.end() if match else position
                if end > position:
                    chunk.append(text[position:end])
                    line_count = reader.count_lines(chunk[-1])
                    self.record_count += line_count
                else:
                    found = reader.end_of_record(text, position, at_end=at_end)
                    if found is None:
                        break
                    end = found
                    record = text[position:end]
                    suspect = reader.suspect(record, line_number)
                    suspects.add(suspect, self._source.original(suspect.record))
                    line_count = reader.count_lines(record)
                    self.record_count += 1
                line_number += line_count
                position = end
            text = text[position:]
            if len(text) > MAX_RECORD_BYTES + 2 * BLOCK_BYTES:
                raise FileRefused(f"line {line_number}: a record of more than {MAX_RECORD_BYTES >> 20} MiB")
            if chunk:
                yield b"".join(chunk)

    def _blocks(self) -> Iterator[bytes]:
        block = self._first
        self._first = b""
        while block or (block := self._source.read_block(BLOCK_BYTES)):
            yield block
            block = b""

    def _check_no_records(self, added: tuple[str, ...], field_count: int) -> None:
        """Refuse a header that an open quote has made to hold the records below it."""
        for name in added:
            if ("\n" in name or "\r" in name) and (self.csv.delimiter in name or field_count == 1):
                raise FileRefused(
                    "the header cannot be read: an unknown name in it holds a line end and a delimiter, so one of its"
                    f" quotes is never closed, or closed too late; the name begins with {name.splitlines()[0][:40]!r}"
                )

    def _read_header(self, start: bytes) -> tuple[list[str], bytes]:
        if not start:
            raise FileRefused("the file is empty (0 bytes): not even a header")
        for mark, advice in _OTHER_KINDS.items():
            if start.startswith(mark):
                raise FileRefused(f"the file is no CSV in UTF-8: {advice}")
        text = start.decode("utf-8", "surrogateescape")
        rows = csv_module.reader(
            io.StringIO(text, newline=""), delimiter=self.csv.delimiter, quotechar=self.csv.quote, strict=True
        )
        try:
            fields = next(rows, [])
        except csv_module.Error as error:
            raise FileRefused(f"the header cannot be read: {error}") from error
        lines = io.StringIO(text, newline="").readlines() if rows.line_num > 1 else [_first_line(text)]
        header = "".join(lines[: rows.line_num])
        return [_shown(field) for field in fields], header.encode("utf-8", "surrogateescape")


def _first_line(text: str) -> str:
    return io.StringIO(text, newline="").readline()


def _shown(field: str) -> str:
    """A column's name without what no database can store."""
    return field.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").replace("\0", "\\0")


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
