"""Let the server judge records one by one: what it takes is stored, what it refuses goes to raw._rejects.

The casts of PL/pgSQL read a text exactly as COPY does, so that a record fares the same on both ways. Suspects wait in
a file until COPY is done: a connection can do only one of the two at a time.
"""

from __future__ import annotations

import tempfile
from datetime import date

import psycopg
from psycopg import sql

from ingest.contract import EVENT_TIME_TYPES, EXTRACT_DATE, Column, Contract
from ingest.errors import SpoolFull
from ingest.misread import RELATIVE_TIMES, guess_of_a_year, offset_behind_letters
from ingest.records import Suspect
from ingest.tables import raw_table, time_range
from ingest.templates import template_pattern

SPOOL_MEMORY_BYTES = 4 << 20
# A few KB of an archive may hold millions of bad records: past so much of them a file must show that it is good.
SPOOL_BYTES = 64 << 20
_COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_ARRAY_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"'})
_NOUNS = {"date": "date", "timestamptz": "time"}


class Spool:
    """Suspects in the order they come, in memory while they are few, in a temporary file when they are many.

    Args:
        limit_bytes: how much of them there may be; None: any.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        self.record_count = 0
        self._limit_bytes = limit_bytes
        self._file = tempfile.SpooledTemporaryFile(SPOOL_MEMORY_BYTES)  # noqa: SIM115  (closed by __exit__)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, suspect: Suspect, original: bytes) -> None:
        """Keep a suspect; ``original`` is the record as it stood in the file.

        Raises:
            SpoolFull: there is no room for it; those before it are kept.
        """
        if self._limit_bytes is not None and self._file.tell() >= self._limit_bytes:
            raise SpoolFull(f"records to judge one by one take more than {self._limit_bytes >> 20} MiB")
        fault = suspect.fault
        values = (
            str(suspect.line_number),
            "\\\\x" + original.hex(),
            _null_or(None if suspect.fields is None else _array(suspect.fields)),
            *map(_null_or, (fault.column_name, fault.reason, fault.message) if fault else (None, None, None)),
        )
        self._file.write("\t".join(values).encode() + b"\n")
        self.record_count += 1

    def judge(self, conn: psycopg.Connection, contract: Contract, load_id: int, extract_date: date | None) -> None:
        """Store in raw what the server takes; ``quarantine`` or ``release`` says what becomes of the rest.

        Args:
            conn: open connection, inside the load's transaction.
            contract: the feed's contract.
            load_id: load that the rows belong to.
            extract_date: of a full extract; None for other feeds.
        """
        conn.execute(
            "create temporary table _suspects (line_number bigint, record bytea, fields text[], column_name text,"
            " reason text, message text) on commit drop"
        )
        self._file.seek(0)
        with conn.cursor() as cursor, cursor.copy("copy pg_temp._suspects from stdin") as copy:
            while block := self._file.read(1 << 20):
                copy.write(block)
        conn.execute(_judgement(contract, load_id, extract_date))
        # or what follows would be planned for a handful of rows
        conn.execute("analyze pg_temp._suspects")


def quarantine(conn: psycopg.Connection, feed: str, load_id: int) -> int:
    """Put the suspects that were refused into raw._rejects; how many they are."""
    count = conn.execute(
        """
        insert into raw._rejects (load_id, feed, line_number, record, column_name, reason, message)
        select %s, %s, line_number, record, column_name, reason, message
        from pg_temp._suspects where reason is not null
        """,
        [load_id, feed],
    ).rowcount
    conn.execute("drop table pg_temp._suspects")
    return count


def release(conn: psycopg.Connection, load_id: int) -> int:
    """Mark those in raw._rejects that were stored now, and say anew why the others were not; how many were stored."""
    count = conn.execute(
        """
        update raw._rejects as rejects set replayed_at = now()
        from pg_temp._suspects as suspects
        where rejects.load_id = %s and rejects.line_number = suspects.line_number and suspects.reason is null
        """,
        [load_id],
    ).rowcount
    conn.execute(
        """
        update raw._rejects as rejects set
            column_name = suspects.column_name, reason = suspects.reason, message = suspects.message
        from pg_temp._suspects as suspects
        where rejects.load_id = %s and rejects.line_number = suspects.line_number and suspects.reason is not null
            and (rejects.column_name, rejects.reason, rejects.message)
            is distinct from (suspects.column_name, suspects.reason, suspects.message)
        """,
        [load_id],
    )
    conn.execute("drop table pg_temp._suspects")
    return count


def _null_or(text: str | None) -> str:
    return "\\N" if text is None else text.translate(_COPY_ESCAPES)


def _array(values: tuple[str | None, ...]) -> str:
    return "{" + ",".join("NULL" if value is None else f'"{value.translate(_ARRAY_ESCAPES)}"' for value in values) + "}"


def _judgement(contract: Contract, load_id: int, extract_date: date | None) -> sql.Composed:
    """An anonymous block: each suspect cast, checked and inserted, or marked with the reason why not."""
    names = [sql.Identifier(column.name) for column in contract.columns]
    variables = [sql.Identifier(f"v{place}") for place in range(len(names))]
    extra = [(sql.Identifier("_load_id"), sql.Literal(load_id))]
    if extract_date is not None:
        extra.append((sql.Identifier(EXTRACT_DATE), sql.Literal(extract_date.isoformat())))
    declared = [
        sql.SQL("{} {};").format(variable, sql.SQL(column.type))
        for variable, column in zip(variables, contract.columns, strict=True)
    ]
    steps = [_step(contract, column, place) for place, column in enumerate(contract.columns)]
    return sql.SQL(
        """
        do $judgement$
        declare
            suspect record;
            field text;
            current_column text;
            state text;
            explanation text;
            {declared}
        begin
            for suspect in select ctid as place, fields from pg_temp._suspects where fields is not null loop
                begin
                    {steps}
                    current_column := null;
                    insert into {table} ({names}) values ({values});
                exception when data_exception or integrity_constraint_violation or program_limit_exceeded
                    or raise_exception
                then
                    get stacked diagnostics state = returned_sqlstate, explanation = message_text;
                    update pg_temp._suspects set
                        column_name = current_column,
                        reason = case
                            when state = 'P0001' then split_part(explanation, ': ', 1)
                            when state in ('22P02', '22007', '22023', '22P03') then 'wrong_type'
                            when state in ('22008', '22003', '22009') then 'out_of_range'
                            when state = '23502' then 'missing_value'
                            when state = '22021' then 'bad_encoding'
                            when state like '54%' then 'too_long'
                            else 'refused'
                        end,
                        message = case
                            when state = 'P0001' then substr(explanation, strpos(explanation, ': ') + 2)
                            else explanation
                        end
                    where ctid = suspect.place;
                end;
            end loop;
        end
        $judgement$
        """
    ).format(
        declared=sql.SQL("\n").join(declared),
        steps=sql.SQL("\n").join(steps),
        table=raw_table(contract.feed),
        names=sql.SQL(", ").join([*names, *(name for name, _ in extra)]),
        values=sql.SQL(", ").join([*variables, *(value for _, value in extra)]),
    )


def _step(contract: Contract, column: Column, place: int) -> sql.Composed:
    """Statements that read one field into its variable, or raise ``<reason>: <message>``."""
    variable, field = sql.Identifier(f"v{place}"), sql.SQL("suspect.fields[{}]").format(sql.Literal(place + 1))
    checks: list[sql.Composable] = []
    if not column.nullable:
        checks.append(_refuse_if("field is null", "missing_value", "a required value is missing"))
    cast: sql.Composable = sql.SQL("cast(field as {})").format(sql.SQL(column.type))
    if column.format is not None:
        cast = sql.SQL("cast(to_timestamp(field, {}) as {})").format(sql.Literal(column.format), sql.SQL(column.type))
    read = sql.SQL("{} := {};").format(variable, cast)
    if column.type == "timestamptz" and column.format is None:
        *conditions, message = offset_behind_letters()
        unread, misread = (_refuse_if(one, "offset_behind_letters", message, shows_value=True) for one in conditions)
        checks += [unread, read, misread]
    else:
        checks.append(read)
    if column.type in EVENT_TIME_TYPES and column.format is None:
        # Once it is known to be a time: Postgres reads today04:05 too, and unknown is none.
        pattern = sql.SQL("field ~* {}").format(sql.Literal(RELATIVE_TIMES))
        checks.append(_refuse_if(pattern, "relative_time", "a time that depends on when it is read"))
    if column.format is not None:
        # to_timestamp takes a year that the template has not for the year 1 BC.
        pattern = sql.SQL("{} < '0001-01-01' or field !~* {}").format(
            variable, sql.Literal(template_pattern(column.format))
        )
        message = f"is not written as {column.format}, with every part, the year in full and nothing more"
        checks.append(_refuse_if(pattern, "wrong_type", message))
    if column.type in EVENT_TIME_TYPES:
        first, end = time_range(column.type)
        outside = sql.SQL("{0} < {1} or {0} >= {2}").format(variable, first, end)
        message = "an event time must be finite and lie in the years 1 to 9999"
        if column.name != contract.event_time:
            outside = sql.SQL("({}) and {} <> 'infinity'").format(outside, variable)
            message = f"a {_NOUNS[column.type]} must lie in the years 1 to 9999, or be infinity: without an end"
        checks.append(_refuse_if(outside, "out_of_range", message))
    if column.type in EVENT_TIME_TYPES and column.format is None:
        condition, message = guess_of_a_year(contract)
        checks.append(_refuse_if(condition, "two_digit_year", message, shows_value=True))
    if column.type == "numeric":
        endless = sql.SQL("{0} <= '-Infinity' or {0} >= 'Infinity'").format(variable)
        checks.append(_refuse_if(endless, "out_of_range", "a number must be finite, and NaN is none"))
    if column.accepted_values is not None:
        values = sql.SQL(", ").join(map(sql.Literal, column.accepted_values))
        choices = ", ".join(column.accepted_values)
        outside = sql.SQL("{} not in ({})").format(variable, values)
        checks.append(_refuse_if(outside, "not_accepted", f"is none of the accepted values {choices}"))
    if column.max_length is not None:
        longer = sql.SQL("char_length({}) > {}").format(variable, sql.Literal(column.max_length))
        checks.append(_refuse_if(longer, "too_long", f"is longer than {column.max_length} characters"))
    if (max_bytes := contract.max_bytes(column)) is not None:
        longer = sql.SQL("octet_length({}) > {}").format(variable, sql.Literal(max_bytes))
        checks.append(_refuse_if(longer, "too_long", f"is longer than {max_bytes:,} bytes, and so no id of a user"))
    return sql.SQL("current_column := {}; field := {};\n{}").format(
        sql.Literal(column.name), field, sql.SQL("\n").join(checks)
    )


def _refuse_if(
    condition: str | sql.Composable, reason: str, message: str, *, shows_value: bool = False
) -> sql.Composed:
    """``shows_value``: before the message, in the quotes within which logs hide what is personal."""
    test = sql.SQL(condition) if isinstance(condition, str) else condition
    value = sql.SQL("'\"' || field || '\" '" if shows_value else "''")
    return sql.SQL("if {} then raise exception using message = {} || {} || {}; end if;").format(
        test, sql.Literal(f"{reason}: "), value, sql.Literal(message)
    )
