"""Erased people stay erased: their records are kept out of whatever is loaded later.

Source: ``raw._erasures``, a salted hash per identity and user, no id. Target: the rows and quarantined records of one
load, inside its transaction. Without any erasure of the feed's identity a load asks one question and goes on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from ingest import ledger
from ingest.contract import Contract, CsvFormat
from ingest.source import contract_for, to_utf8
from ingest.tables import raw_table

# What surrounds an id and is no part of it, as macro clean_text of the models has it.
SPACE = " \t\r\n\f\v"
_LOCK = "hashtextextended('growth.erasure', 0)"


@dataclass(frozen=True, slots=True)
class Tombstones:
    """The hashes of who was erased of one identity, and what they were made with."""

    identity: str
    salt: bytes
    hashes: frozenset[bytes]

    def hash(self, user: str) -> bytes:
        """The hash of a user's id; no identity's name holds a line end, so that no two pairs meet."""
        return hashlib.sha256(self.salt + f"{self.identity}\n{user}".encode("utf-8", "surrogateescape")).digest()

    def has(self, user: str) -> bool:
        """Whether this user was erased."""
        return self.hash(user) in self.hashes

    def condition(self, user: sql.Composable) -> sql.Composed:
        """The same as SQL, for a column of users; null is nobody."""
        return sql.SQL("sha256({salt} || convert_to({prefix} || {user}, 'UTF8')) = any({hashes})").format(
            salt=sql.Literal(self.salt),
            prefix=sql.Literal(f"{self.identity}\n"),
            user=clean(user),
            hashes=sql.Literal(list(self.hashes)),
        )


@dataclass(frozen=True, slots=True)
class KeptOut:
    """What was taken out of a load: rows of raw, and records that waited in quarantine."""

    row_count: int = 0
    reject_count: int = 0

    @property
    def record_count(self) -> int:
        """Both together: what the ledger counts as erased."""
        return self.row_count + self.reject_count


def clean(user: sql.Composable) -> sql.Composed:
    """A column of users as the text that the models compare."""
    return sql.SQL(r"nullif(trim(both e' \t\r\n\f\x0b' from cast({} as text)), '')").format(user)


def user_column(contract: Contract) -> sql.Identifier:
    """The column that says whose row it is; the feed has one."""
    assert contract.user is not None
    return sql.Identifier(contract.user)


def has_numbers(contract: Contract) -> bool:
    """Whether the users of a feed are integers."""
    return contract.user is not None and contract.column(contract.user).type in ("bigint", "integer")


def as_number(text: str) -> str | None:
    """An id as a column of integers has it, whatever zeros or sign it is written with; None where it is no integer."""
    return str(int(text)) if re.fullmatch(r"[+-]?[0-9]{1,40}", text) else None


def hold_off_erasure(conn: psycopg.Connection) -> None:
    """Let no erasure begin until this transaction ends; wait for the end of one that is under way."""
    conn.execute(f"select pg_advisory_xact_lock_shared({_LOCK})".encode())


def hold_off_loads(conn: psycopg.Connection) -> None:
    """Let no load begin until this transaction ends; wait for the end of those under way."""
    conn.execute(f"select pg_advisory_xact_lock({_LOCK})".encode())


def tombstones(conn: psycopg.Connection, identity: str) -> Tombstones:
    """Who was erased of an identity."""
    rows = conn.execute("select user_hash from raw._erasures where identity = %s", [identity]).fetchall()
    salt = conn.execute("select salt from raw._erasure_salt").fetchone()
    assert salt is not None
    return Tombstones(identity, bytes(salt[0]), frozenset(bytes(user_hash) for (user_hash,) in rows))


def keep_out(conn: psycopg.Connection, contract: Contract, load_id: int, rejects_of: int | None = None) -> KeptOut:
    """Take the records of erased people out of what a load has brought so far.

    Args:
        conn: inside the transaction of the load.
        contract: of the feed.
        load_id: whose rows are looked at.
        rejects_of: whose quarantined records, where they are another load's.

    Returns:
        How many there were.
    """
    if contract.user is None:
        return KeptOut()
    known = tombstones(conn, contract.user_identity)
    if not known.hashes:
        return KeptOut()
    condition = known.condition(user_column(contract))
    row_count = 0
    for table in ledger.load_tables(conn, contract.feed, load_id):
        row_count += conn.execute(sql.SQL("delete from {} where {}").format(table, condition)).rowcount
        if conn.execute(sql.SQL("select exists (select from {})").format(table)).fetchone() == (False,):
            conn.execute(sql.SQL("drop table {}").format(table))  # analyzing an empty one would leave its statistics
    statement = sql.SQL("delete from only {} where _load_id = {} and {}")
    with ledger.index_scans_only(conn):
        row_count += conn.execute(statement.format(raw_table(contract.feed), sql.Literal(load_id), condition)).rowcount
    found = rejects_of_people(conn, contract, known.has, load_id if rejects_of is None else rejects_of)
    return KeptOut(row_count, len([each for each in erase_rejects(conn, found) if each.is_waiting]))


@dataclass(frozen=True, slots=True)
class FoundReject:
    """A quarantined record that names a person; ``is_waiting`` while the ledger counts it as rejected."""

    load_id: int
    line_number: int
    is_waiting: bool


def rejects_of_people(
    conn: psycopg.Connection, contract: Contract, is_person: Callable[[str], bool], load_id: int | None = None
) -> list[FoundReject]:
    """The quarantined records of a feed, or of one load, that name a person in any of their fields.

    Nothing says that the fields of a record that was refused are what the header says, so each of them counts. That
    is on the safe side: a record of another person goes too, where another of its fields is the very same text.
    """
    found = []
    query = """
        select rejects.load_id, rejects.line_number, rejects.record, rejects.replayed_at is null, loads.source_file
        from raw._rejects as rejects
        left join raw._loads as loads on rejects.load_id = loads.load_id
        where rejects.feed = %s and rejects.load_id = coalesce(%s, rejects.load_id)
    """
    with conn.cursor(name="rejects_of_people") as cursor:
        for reject_load, line_number, record, is_waiting, source_file in cursor.execute(
            query, [contract.feed, load_id]
        ):
            if any(map(is_person, possible_ids(record, contract_for(contract, source_file or "")))):
                found.append(FoundReject(reject_load, line_number, is_waiting))
    return found


def erase_rejects(conn: psycopg.Connection, found: Sequence[FoundReject]) -> Sequence[FoundReject]:
    """Delete those records; returns them."""
    conn.execute(
        "delete from raw._rejects using unnest(%s::bigint[], %s::bigint[]) as gone (load_id, line_number)"
        " where _rejects.load_id = gone.load_id and _rejects.line_number = gone.line_number",
        [[each.load_id for each in found], [each.line_number for each in found]],
    )
    return found


def possible_ids(record: bytes, contract: Contract) -> Iterator[str]:
    """Whatever in a record could be an id: its fields as far as they can be told apart, and the words in them."""
    try:
        text = to_utf8(record, contract.csv.encoding).decode("utf-8", "surrogateescape")
    except UnicodeDecodeError:
        text = record.decode("utf-8", "surrogateescape")
    is_number = has_numbers(contract)
    for field in _fields(text, contract.csv):
        for word in {field.strip(SPACE), *field.split()}:
            if word:
                yield word
                if is_number and (number := as_number(word)):
                    yield number


def _fields(text: str, csv: CsvFormat) -> Iterator[str]:
    """Fields by every reading of the quotes, for nothing says that they are right: as ends of fields, text, or quotes.

    An id that holds a delimiter or a quote is one of the last two.
    """
    quote, delimiter = re.escape(csv.quote), re.escape(csv.delimiter)
    yield from re.split(f"[{delimiter}{quote}\r\n]", text)
    if csv.quote in text:
        yield from re.split(f"[{delimiter}\r\n]", text)
        quoted = rf"(?:\A|[{delimiter}\r\n])[ \t]*{quote}([^{quote}]*(?:{quote * 2}[^{quote}]*)*){quote}"
        for match in re.finditer(quoted, text):
            yield match[1].replace(csv.quote * 2, csv.quote)


def vacuum(conn: psycopg.Connection, tables: Sequence[sql.Identifier]) -> None:
    """Let the space of deleted rows be written over, and take statistics anew: they hold values of columns.

    Outside of a transaction, as the owner of the tables.
    """
    for table in tables:
        conn.execute(sql.SQL("vacuum (analyze) {}").format(table))
