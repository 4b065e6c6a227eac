"""The quarantine: refused records, how many a file may have, and their way back.

Source and target: ``raw._rejects``. A record that was loaded after all keeps its row there, with the time of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import psycopg

from ingest import ledger
from ingest.contract import Contract, CsvFormat
from ingest.copy import connect, read_dates_as
from ingest.ddl import check_raw
from ingest.errors import FileRefused, NothingLoaded
from ingest.header import Header, match_header, positional
from ingest.judge import Spool, release
from ingest.records import RecordReader
from ingest.source import contract_for, from_utf8, to_utf8
from ingest.standstill import hold_off_standstill
from ingest.tombstones import hold_off_erasure, keep_out

SHOWN_REASONS = 10


def check_limit(
    conn: psycopg.Connection,
    contract: Contract,
    load_id: int,
    rejected_count: int,
    record_count: int,
    *,
    share_read: float = 1,
) -> None:
    """Refuse a file that has more bad records than its contract tolerates.

    Args:
        conn: open connection, inside the load's transaction.
        contract: the feed's contract.
        load_id: load of the file.
        rejected_count: its bad records.
        record_count: its records.
        share_read: how much of the file these are: the rest may have as many in each byte, and all of them good.

    Raises:
        FileRefused: it has; the message names the first ten reasons.
    """
    # as a decimal: 0.29 of 100 is 29, and no float says so
    if rejected_count * Decimal(share_read) <= Decimal(str(contract.max_reject_rate)) * record_count:
        return
    first = conn.execute(
        "select line_number, column_name, reason, message from raw._rejects where load_id = %s"
        " order by line_number limit %s",
        [load_id, SHOWN_REASONS],
    ).fetchall()
    lines = [
        f"{rejected_count} of {record_count} records are refused; the contract tolerates"
        f" {contract.max_reject_rate * 100:.3g} % of a file (max_reject_rate)"
    ]
    for line_number, column_name, reason, message in first:
        where = f"line {line_number}, column {column_name}" if column_name else f"line {line_number}"
        lines.append(f"  {where}: {reason}: {_shown(contract, column_name, message)}")
    if rejected_count > len(first):
        lines.append(f"  and {rejected_count - len(first)} more")
    raise FileRefused("\n".join(lines))


def _shown(contract: Contract, column_name: str | None, message: str) -> str:
    """A message for logs: what it quotes of a personal column is left out."""
    if column_name is not None and column_name not in contract.personal_columns:
        return message
    return re.sub(r'".*"', '"…"', message, flags=re.DOTALL)  # a value may hold quotes itself


@dataclass(frozen=True, slots=True)
class RejectSummary:
    """Records of one file that wait in quarantine for one reason."""

    feed: str
    source_file: str
    reason: str
    column_name: str | None
    record_count: int
    first_line_number: int
    first_message: str


@dataclass(frozen=True, slots=True)
class Reject:
    """One refused record; ``line_number`` is the physical line on which it starts, ``record`` its original bytes."""

    line_number: int
    column_name: str | None
    reason: str
    message: str
    record: bytes


def summarise(conn: psycopg.Connection, feeds: Sequence[str]) -> list[RejectSummary]:
    """What waits in quarantine, by file, reason and column; nothing of files that were replaced or unloaded since."""
    rows = conn.execute(
        """
        select rejects.feed, loads.source_file, rejects.reason, rejects.column_name, count(*), min(line_number),
            (array_agg(rejects.message order by line_number))[1]
        from raw._rejects as rejects
        inner join raw._loads as loads on rejects.load_id = loads.load_id
        where rejects.replayed_at is null and rejects.discarded_at is null and loads.status = 'loaded'
            and rejects.feed = any(%s)
        group by 1, 2, 3, 4
        order by 2, 6
        """,
        [list(feeds)],
    )
    return [RejectSummary(*row) for row in rows]


def rejects_of(conn: psycopg.Connection, source_file: str) -> Iterator[Reject]:
    """The records of a file that wait in quarantine, in the order of the file."""
    with conn.transaction(), conn.cursor(name="rejects") as cursor:
        cursor.execute(
            """
            select line_number, column_name, reason, message, record
            from raw._rejects as rejects
            inner join raw._loads as loads on rejects.load_id = loads.load_id
            where loads.source_file = %s and loads.status = 'loaded' and replayed_at is null and discarded_at is null
            order by line_number
            """,
            [source_file],
        )
        for row in cursor:
            yield Reject(*row)


def export(conn: psycopg.Connection, contract: Contract, source_file: str) -> Iterator[bytes]:
    """A CSV file of a file's quarantined records under its own header: to be corrected, and landed under a new name.

    Those of a Parquet file are written as the contract says of CSV files: one of these is what they come back in.

    Raises:
        NothingLoaded: no such file is in raw.
    """
    old = ledger.loaded_file(conn, source_file)
    if old is None:
        raise NothingLoaded(f"{source_file}: no file of that name is loaded")
    csv, found = contract.csv, contract_for(contract, source_file)
    names = list(old.field_names or ())
    if names and csv.header:
        yield from_utf8(_line([name.encode("utf-8", "surrogateescape") for name in names], csv), csv.encoding)
    if found is contract:
        for reject in rejects_of(conn, source_file):
            yield from_utf8(_text(reject, csv) + b"\n", csv.encoding)
        return
    # A contract that has changed since matters only where the header does not say what the fields are.
    header = Header((None,) * len(names), (), ()) if csv.header else match_header(names, found)
    reader = RecordReader(found, header, found.csv, b"\n")
    places = range(len(names)) if csv.header else [_place(header, name) for name in contract.column_names]
    for reject in rejects_of(conn, source_file):
        fields, _ = reader.take_apart(_text(reject, found.csv))
        values = [value if value or quoted else None for value, quoted in fields]
        yield from_utf8(_line([None if at is None else values[at] for at in places], csv), csv.encoding)


def _place(header: Header, name: str) -> int | None:
    return header.columns.index(name) if name in header.columns else None


def _line(values: Sequence[bytes | None], csv: CsvFormat) -> bytes:
    """A line of CSV, with quotes where they are needed to read the same again."""
    quote, nulls = csv.quote.encode(), [null.encode() for null in csv.nulls]
    special = re.compile(b"[\r\n" + re.escape((csv.quote + csv.delimiter).encode()) + b"]")

    def written(value: bytes | None) -> bytes:
        if value is None:
            return nulls[0]
        if value and value not in nulls and not special.search(value):
            return value
        return quote + value.replace(quote, 2 * quote) + quote

    return csv.delimiter.encode().join(map(written, values)) + b"\n"


def discard(conn: psycopg.Connection, source_file: str) -> int:
    """Take a file's records out of quarantine without loading them: they were corrected and landed, or are not wanted.

    They stay in raw._rejects, marked. Returns how many they are.
    """
    return conn.execute(
        """
        update raw._rejects as rejects set discarded_at = now()
        from raw._loads as loads
        where rejects.load_id = loads.load_id and loads.source_file = %s and loads.status = 'loaded'
            and replayed_at is null and discarded_at is null
        """,
        [source_file],
    ).rowcount


def replay(conninfo: str, contract: Contract, *, run_id: str | None, source_file: str | None = None) -> list[Replayed]:
    """Try the quarantined records of a feed again, under its contract as it is now, a transaction per file.

    Args:
        conninfo: connection string of a role that owns the raw tables.
        contract: the feed's contract.
        run_id: what the ledger says of who replayed.
        source_file: only this file's records; None: all of the feed.
    """
    with connect(conninfo, contract) as conn:
        check_raw(conn, contract)
        files = {summary.source_file for summary in summarise(conn, [contract.feed])}
        return [_replay_file(conn, contract, name, run_id) for name in sorted(files) if source_file in (None, name)]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did for one file: records that are loaded now, and those that stay in quarantine."""

    source_file: str
    loaded_count: int
    rejected_count: int


def _replay_file(conn: psycopg.Connection, contract: Contract, source_file: str, run_id: str | None) -> Replayed:
    contract, started_at = contract_for(contract, source_file), datetime.now(UTC)
    csv = contract.csv
    with Spool() as suspects, conn.transaction():
        read_dates_as(conn, contract)
        hold_off_standstill(conn, source_file)
        hold_off_erasure(conn)
        ledger.lock_path(conn, source_file)
        old = ledger.loaded_file(conn, source_file)
        if old is None:  # taken out since we looked
            return Replayed(source_file, 0, 0)
        try:
            header = positional(contract) if old.field_names is None else match_header(old.field_names, contract)
        except FileRefused as error:
            raise FileRefused(f"{source_file} does not fit its contract any more: {error}") from error
        reader = RecordReader(contract, header, csv, b"\n")
        for reject in rejects_of(conn, source_file):
            suspects.add(reader.suspect(_text(reject, csv), reject.line_number), reject.record)
        load_id = ledger.next_load_id(conn)
        suspects.judge(conn, contract, load_id, _extract_date_of(conn, contract, old.load_id))
        released = release(conn, old.load_id)
        erased = keep_out(conn, contract, load_id, rejects_of=old.load_id)
        loaded = released - erased.row_count
        if released or erased.record_count:
            ledger.record_changed_days(conn, contract.feed, ledger.days_of_load(conn, contract, load_id), load_id)
            entry = ledger.Entry(contract.feed, source_file, old.sha256, 0, started_at, run_id)
            ledger.record_replay(conn, load_id, entry, old.load_id, loaded, erased.record_count)
    return Replayed(source_file, loaded, suspects.record_count - released - erased.reject_count)


def _text(reject: Reject, csv: CsvFormat) -> bytes:
    """The record as UTF-8; a line end that was wrong in its file is none of a record alone."""
    return to_utf8(reject.record, csv.encoding).rstrip(b"\r\n")


def _extract_date_of(conn: psycopg.Connection, contract: Contract, load_id: int) -> date | None:
    if not contract.has_extract_date:
        return None
    # As the load itself found it: of the folder, else of the day; it may have brought no row that says so.
    row = conn.execute(
        "select coalesce(cast(substring(source_file from '(?:^|/)extract_date=([0-9-]{10})/') as date),"
        " cast(started_at at time zone 'UTC' as date)) from raw._loads where load_id = %s",
        [load_id],
    ).fetchone()
    return row[0] if row else None
