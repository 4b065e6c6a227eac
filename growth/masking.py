"""What logs get to know of an error of Postgres: all but the values of the data that it quotes.

A key that is there twice or a text that is no number may be somebody's. dbt prints an error, writes it into its log
and its results, and Elementary keeps it in tables: so dbt's adapter is given errors that are masked already.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator
from typing import Any

import psycopg

# Classes of SQLSTATE (docs of Postgres, appendix A) whose messages name tables, columns and settings, and no values:
# connections, transactions, what is wrong with the SQL itself, resources, the server.
NAMES_ONLY = ("08", "25", "40", "42", "53", "55", "57", "58")
# A constraint is violated: the first line has names, the detail has the row.
INTEGRITY = "23"
SECTION = re.compile(r"\n(?=(?:DETAIL|HINT|CONTEXT|QUERY|LINE \d+):)")


def masked(text: str, sqlstate: str | None) -> str:
    """An error's text without values: those that are quoted, the rows and keys of its detail, the record it came from.

    Args:
        text: of psycopg2: message, then lines that begin with LINE, DETAIL, HINT, CONTEXT.
        sqlstate: the code of the error; None where the server gave none.
    """
    first, *others = SECTION.split(text)
    if sqlstate is None or sqlstate.startswith(NAMES_ONLY):  # but a COPY that is canceled tells at which record
        return "\n".join([first, *(_masked_section(each) if each.startswith("CONTEXT") else each for each in others)])
    if not sqlstate.startswith(INTEGRITY):
        first = _unquoted(first)
    return "\n".join([first, *map(_masked_section, others)])


def mask_chain(error: BaseException | None) -> None:
    """Mask an error and what it was raised from, all of which a traceback shows."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, psycopg.Error):
            error.args = (masked(str(error), error.sqlstate),)
        error = error.__cause__ or error.__context__


def mask_dbt() -> None:
    """Let dbt's adapter see masked errors from now on, in this process."""
    from dbt.adapters.postgres.connections import PostgresConnectionManager

    if not hasattr(PostgresConnectionManager.exception_handler, "masks"):
        PostgresConnectionManager.exception_handler = _masking(PostgresConnectionManager.exception_handler)


def _masking(handler: Any) -> Any:
    import psycopg2  # type: ignore[import-untyped]

    @contextlib.contextmanager
    @functools.wraps(handler)
    def handle(self: Any, statement: str) -> Iterator[None]:
        with handler(self, statement):
            try:
                yield
            except psycopg2.DatabaseError as error:
                error.args = (masked(str(error), error.pgcode),)
                raise

    handle.masks = True  # type: ignore[attr-defined]
    return handle


def _masked_section(section: str) -> str:
    if section.startswith(("LINE ", "HINT", "QUERY")):  # of our SQL, with the place below it
        return section
    if section.startswith("CONTEXT"):  # such as: COPY t, line 3, column c: "…"; or: JSON data, line 1: …
        return re.sub(r"(line \d+[^:\n]*:).*", r"\1 …", section, flags=re.DOTALL)
    rows = re.sub(r"(\)=|contains )\(.*\)", r"\1(…)", section, flags=re.DOTALL)
    return rows if rows != section else _unquoted(section)


def _unquoted(text: str) -> str:
    """Without what stands between the first quote and the last: a value may hold quotes and line ends itself."""
    return re.sub(r'".*"', '"…"', text, flags=re.DOTALL)
