"""Records are cut alike wherever the blocks end, and what is wrong with one is said in the right place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.contract import Contract, CsvFormat
from ingest.errors import NeedsCare
from ingest.header import positional
from ingest.records import Fault, RecordCutter, RecordReader, line_end_of

END = b"\n"


def contract(**csv: object) -> Contract:
    columns = [
        {"name": "id", "type": "bigint", "nullable": False, "description": "Which."},
        {"name": "visited_on", "type": "date", "nullable": False, "description": "When."},
        {"name": "note", "type": "text", "nullable": True, "description": "What.", "max_length": 20},
        {"name": "kind", "type": "text", "nullable": True, "description": "How.", "accepted_values": ["a", "b c"]},
    ]
    return Contract.model_validate(
        {
            **{"feed": "visits", "domain": "web", "description": "Visits.", "event_time": "visited_on", "user": "id"},
            **{"key": ["id"], "cadence": "daily", "columns": columns, "csv": csv},
            "freshness": {"warn_after_days": 1, "error_after_days": 2},
        }
    )


def reader(line_end: bytes = END, **csv: object) -> RecordReader:
    visits = contract(**csv)
    return RecordReader(visits, positional(visits), visits.csv, line_end)


def records_of(text: bytes, records: RecordReader) -> list[bytes]:
    """All records of a whole text."""
    found, position = [], 0
    while position < len(text):
        end = records.end_of_record(text, position, at_end=True)
        assert end is not None
        assert end > position
        found.append(text[position:end])
        position = end
    return found


def blocks_of(text: bytes, cuts: list[int]) -> Iterator[bytes]:
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return (text[start:end] for start, end in pairwise(edges))


# What matters to records, much more often than chance would have it.
TEXTS = st.lists(
    st.sampled_from([b"1", b",", b'"', b'""', b"\n", b"\r\n", b"\r", b'","', b'"\n"', b"\xc3\xa9", b"2024-01-01"]),
    max_size=40,
).map(b"".join)
CUTS = st.lists(st.integers(0, 200), max_size=8)
LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


def cut_all(blocks: Iterator[bytes], line_end: bytes) -> tuple[bytes, int] | None:
    """What a cutter gives and counts; None: it asks for care."""
    cutter = RecordCutter(CsvFormat(), line_end)
    try:
        chunks = [cutter.cut(block) for block in blocks]
        assert all(chunk.endswith(line_end[-1:]) for chunk in chunks if chunk)
        return b"".join(chunks) + cutter.last(), cutter.record_count
    except NeedsCare:
        return None


@given(TEXTS, CUTS, LINE_ENDS)
def test_cutter_gives_the_same_whatever_the_blocks(text: bytes, cuts: list[int], line_end: bytes) -> None:
    whole = cut_all(iter([text]), line_end)
    assert cut_all(blocks_of(text, cuts), line_end) == whole
    assert whole is None or whole[0] == text


@given(TEXTS, CUTS)
def test_cutter_gives_only_whole_records_as_they_are_ready(text: bytes, cuts: list[int]) -> None:
    cutter, seen, quotes = RecordCutter(CsvFormat(), END), b"", 0
    try:
        for block in blocks_of(text, cuts):
            seen += block
            quotes += cutter.cut(block).count(b'"')
            assert quotes % 2 == 0
            last = max((place + 1 for place in range(len(seen)) if _ends_record(seen, place)), default=0)
            assert cutter.record_count == sum(_ends_record(seen, place) for place in range(last))
    except NeedsCare:
        pass


def _ends_record(text: bytes, place: int) -> bool:
    return text[place : place + 1] == END and text.count(b'"', 0, place) % 2 == 0


@given(TEXTS, LINE_ENDS)
def test_fast_and_careful_reading_find_the_same_records(text: bytes, line_end: bytes) -> None:
    """Where the cutter is content and each of its records is one, the reader cuts in the same places."""
    cut = cut_all(iter([text]), line_end)
    records = reader(line_end)
    found = records_of(text, records)
    assert b"".join(found) == text
    suspects = [records.suspect(record, 1) for record in found]
    if cut is not None and all(suspect.fault is None for suspect in suspects):
        assert len(found) == cut[1]


@given(TEXTS, st.integers(0, 200))
def test_end_of_record_waits_for_what_it_must_see(text: bytes, cut: int) -> None:
    """A verdict on part of a text holds for the whole of it."""
    records, part = reader(), text[: cut % (len(text) + 1)]
    if part and (early := records.end_of_record(part, 0, at_end=False)) is not None:
        assert early == records.end_of_record(text, 0, at_end=True)


@given(TEXTS, LINE_ENDS)
def test_a_suspect_keeps_its_bytes(text: bytes, line_end: bytes) -> None:
    records = reader(line_end)
    for record in records_of(text, records):
        suspect = records.suspect(record, 7)
        assert record.startswith(suspect.record)
        assert record[len(suspect.record) :] in (line_end, b"\n", b"")
        assert (suspect.fields is None) == (suspect.fault is not None)
        assert suspect.line_number == 7


@pytest.mark.parametrize("text", [b'1,a"b"\n', b'1,"a"b\n', b'1,"a" \n', b'x"y\n"\n', b'1,"open\n', b'1,"open'])
def test_cutter_asks_for_care(text: bytes) -> None:
    assert cut_all(iter([text]), END) is None


def test_cutter_gives_up_on_a_record_without_an_end() -> None:
    cutter = RecordCutter(CsvFormat(), END)
    for _ in range(16):
        assert cutter.cut(b"x" * (1 << 20)) == b""
    with pytest.raises(NeedsCare):
        cutter.cut(b"x")


@pytest.mark.parametrize(
    ("records", "what"),
    [
        ([b"1,2024-01-01,x,a\n", b"2,2024-01-01,y,a\n"], "plain ones"),
        ([b'1,2024-01-01,"x\n\ny",a\n', b"2,2024-01-01,y,a\n"], "a text of several lines"),
        ([b'1,2024-01-01,"x,a\n', b"2,2024-01-01,y,a\n"], "an open quote that is never closed"),
        ([b'1,2024-01-01,"x,a\n', b'2,2024-01-01,"y",a\n'], "an open quote before a quoted field"),
        ([b'1,2024-01-01,"x,a\n', b'2,2024-01-01,"y\nz",a\n', b"3,2024-01-01,z,a\n"], "one before several lines"),
        ([b'1,2024-01-01,"x,a\n', b"2,x\n", b'2,2024-01-01,"y",a\n'], "one whose next line is bad too"),
        ([b'1,2024-01-01,x,"a\n', b"2,2024-01-01,y,a\n", b'3,2024-01-01,y,"\n'], "text that the column cannot hold"),
        # nothing says where the first one ends, and no good record is lost
        ([b'1,2024-01-01,"x,a\n2,2024-01-01,"y,a\n', b"3,2024-01-01,z,a\n"], "an open quote after another"),
        ([b'1,2024-01-01,"x\n', b'2,2024-01-01,"y longer than twenty",a\n'], "an open quote in a record cut short"),
        ([b'1,2024-01-01,"x longer than twenty, open\n', b'2,2024-01-01,x,"a"\n'], "longer than the column may be"),
        ([b'1,2024-01-01,"x\n\xff\n",a\n', b"2,2024-01-01,y,a\n"], "several lines with a byte that is no UTF-8"),
        ([b'1,2024-01-01,"x\ny"z,a\n', b"2,2024-01-01,y,a\n"], "text after a closing quote, lines later"),
        ([b'1,2024-01-01,5" x,a\n', b'2,2024-01-01,7" y,a\n'], "inches"),
        ([b"\n", b"2,2024-01-01,y,a\n", b"\n", b"\n"], "blank lines"),
        ([b"1,2024-01-01,x,a\n", b'2,2024-01-01,y,"a'], "an open quote at the end"),
    ],
)
def test_records_end_where_they_make_sense(records: list[bytes], what: str) -> None:
    text = b"".join(records)
    assert records_of(text, reader()) == records, what
    # and the same from any block that holds enough of it
    for cut in range(1, len(text)):
        early = reader().end_of_record(text[:cut], 0, at_end=False)
        assert early in (None, len(records[0])), (what, cut)


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        (b"1,2024-01-01,x,a\n", ("1", "2024-01-01", "x", "a")),
        (b"1,2024-01-01,,\n", ("1", "2024-01-01", None, None)),
        (b'1,2024-01-01,"",""', ("1", "2024-01-01", "", "")),
        (b'"1","2024-01-01","a ""b"", c\r\nd",NULL\n', ("1", "2024-01-01", 'a "b", c\r\nd', "NULL")),
        (b"x, y ,'z',\xc3\xa9\n", ("x", " y ", "'z'", "é")),
        (b"1,2,\\N,\\.\n", ("1", "2", "\\N", "\\.")),
    ],
)
def test_suspect_has_its_fields(record: bytes, fields: tuple[str | None, ...]) -> None:
    suspect = reader().suspect(record, 3)
    assert (suspect.fields, suspect.fault) == (fields, None)
    assert suspect.record == record.removesuffix(b"\n")


@pytest.mark.parametrize(
    ("record", "reason", "column_name"),
    [
        (b"1,2024-01-01\n", "missing_column", "note"),
        (b"\n", "missing_column", "visited_on"),
        (b"1,2024-01-01,x,a,\n", "extra_column", None),
        (b'1,2024-01-01,"x,a\n', "unterminated_quote", "note"),
        (b'1,2024-01-01,x,"a\n', "unterminated_quote", "kind"),
        (b'1,2024-01-01,5" x,a\n', "text_outside_quotes", "note"),
        (b'1,2024-01-01,"x"y,a\n', "text_outside_quotes", "note"),
        (b'1,2024-01-01,"x" ,a\n', "text_outside_quotes", "note"),
        (b'1,2024-01-01, "x",a\n', "text_outside_quotes", "note"),
        (b'1,2024-01-01,x,a"b"\n', "text_outside_quotes", "kind"),
        (b"1,2024-01-01,x\0,a\n", "nul_byte", "note"),
        (b"1,2024-01-01,x,\xff\n", "bad_encoding", "kind"),
        (b"1,2024-01-01,x,\xed\xa0\x80\n", "bad_encoding", "kind"),
        (b"1,2024-01-01,x,a\r\n", "mixed_line_end", None),
        (b'1,2024-01-01,x,"a"\r\n', "mixed_line_end", None),
        (b"1,2024-01-01,x\ry,a\n", "mixed_line_end", None),
        (b"1,2024-01-01,x\r\n", "missing_column", "kind"),
        (b'1,2024-01-01,x,"a\r\n', "unterminated_quote", "kind"),
    ],
)
def test_suspect_has_a_fault(record: bytes, reason: str, column_name: str | None) -> None:
    suspect = reader().suspect(record, 3)
    assert suspect.fields is None
    assert suspect.fault is not None
    assert (suspect.fault.reason, suspect.fault.column_name) == (reason, column_name)
    assert suspect.record == record.removesuffix(b"\n")


@pytest.mark.parametrize(
    ("line_end", "record", "kept"),
    [
        (b"\r\n", b"1,2024-01-01,x,a\n", b"1,2024-01-01,x,a"),
        (b"\r\n", b'1,2024-01-01,x,"a"\n', b'1,2024-01-01,x,"a"'),
        (b"\r\n", b"1,2024-01-01,x,a\r", b"1,2024-01-01,x,a\r"),
        (b"\r", b"1,2024-01-01,x\ny,a\r", b"1,2024-01-01,x\ny,a"),
        (b"\r", b"1,2024-01-01,x,a\n", b"1,2024-01-01,x,a"),
    ],
)
def test_another_line_end_than_the_files(line_end: bytes, record: bytes, kept: bytes) -> None:
    suspect = reader(line_end).suspect(record, 3)
    assert suspect.record == kept
    name = "CR" if line_end == b"\r" else "CR LF"
    assert suspect.fault == Fault("mixed_line_end", f"a line end other than that of the file, which is {name}")


def test_encoding_is_named_with_the_byte_of_the_file() -> None:
    suspect = reader(encoding="cp1252").suspect(b"1,2024-01-01,\xed\xb2\x81,a\n", 3)
    assert suspect.fault is not None
    assert suspect.fault.message.startswith("is no cp1252 (byte 0x81)")


def test_all_spellings_of_null_are_unquoted() -> None:
    suspect = reader(nulls=["", "NULL", "\\N"]).suspect(b'NULL,\\N,"NULL",\n', 3)
    assert suspect.fields == (None, None, "NULL", None)


@pytest.mark.parametrize(
    ("sample", "header", "line_end"),
    [
        (b"1,x\n2,y\n", b"", b"\n"),
        (b"1,x\r\n2,y\r\n3,z\n", b"", b"\r\n"),
        (b"1,x\n2,y\n3,z\r\n", b"id,note\r\n", b"\n"),
        (b"1,x\r2,y\r", b"id,note\r", b"\r"),
        (b"1,x\r2,y\n3,z\r", b"id,note\r", b"\r"),
        (b"1,a\rb\rc\n", b"id,note\n", b"\n"),
        (b"1,x", b"id,note\r\n", b"\r\n"),
        (b"", b"id,note\r\n", b"\r\n"),
        (b"1,x\ry", b"id,note\n", b"\n"),
        # forms of a browser are sent with CR LF, whatever writes the file
        (b'1,"a\r\nb\r\nc"\n2,"a\r\nb\r\n"\n', b"id,note\n", b"\n"),
        (b'1,"a\nb\nc"\r\n', b"id,note\r\n", b"\r\n"),
        (b'1,"a\nb"\r2,"c\nd"\r', b"id,note\r", b"\r"),
        # a stray quote does not turn inside and outside around
        (b'1,5" x\n2,"a\r\nb\r\nc"\n3,"a\r\n""b""\r\n"\n', b"id,note\n", b"\n"),
        (b'1,"open\n2,"a\r\nb\r\nc"\n3,"\r\n\r\n"\n', b"", b"\n"),
        (b'1,"open\r\n2,x\r\n3,y\r\n', b"", b"\r\n"),
        # the sample ends within the first record
        (b'1,"' + b"a\n" * 50, b"id,note\r\n", b"\r\n"),
    ],
)
def test_line_end_is_that_of_the_records(sample: bytes, header: bytes, line_end: bytes) -> None:
    assert line_end_of(sample, CsvFormat(), header) == line_end
    other = CsvFormat(quote="'", delimiter="|")
    swapped = bytes.maketrans(b"\",'|", b"'|\",")
    assert line_end_of(sample.translate(swapped), other, header) == line_end
