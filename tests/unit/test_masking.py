"""What Postgres quotes of the data is left out of an error; what it says of tables, columns and SQL stays."""

from __future__ import annotations

import psycopg
import pytest

from growth.masking import mask_chain, masked


@pytest.mark.parametrize(
    ("sqlstate", "text", "expected"),
    [
        (
            "23505",
            'duplicate key value violates unique constraint "users_pkey"\n'
            'DETAIL:  Key (user_id, n)=(bo"b) (x\nyz, 7) already exists.\n',
            'duplicate key value violates unique constraint "users_pkey"\n'
            "DETAIL:  Key (user_id, n)=(…) already exists.\n",
        ),
        (
            "23502",
            'null value in column "a" violates not-null constraint\nDETAIL:  Failing row contains (bob, null).',
            'null value in column "a" violates not-null constraint\nDETAIL:  Failing row contains (…).',
        ),
        (
            "22P02",
            'invalid input syntax for type bigint: "bo"b\nxyz"\nLINE 1: select 1\n               ^',
            'invalid input syntax for type bigint: "…"\nLINE 1: select 1\n               ^',
        ),
        ("22003", 'value "4711" is out of range for type integer', 'value "…" is out of range for type integer'),
        (
            "22P02",
            'invalid input syntax for type json\nDETAIL:  Token "bob" is invalid.\nCONTEXT:  JSON data, line 1: bob...',
            'invalid input syntax for type json\nDETAIL:  Token "…" is invalid.\nCONTEXT:  JSON data, line 1: …',
        ),
        ("42703", 'column "usr_id" does not exist\nHINT:  Perhaps you meant "user_id".', None),
        ("53100", 'could not extend file "base/1/2": No space left on device', None),
        (None, 'connection to server at "warehouse" failed', None),
        (
            "57014",
            'canceling statement due to statement timeout\nCONTEXT:  COPY sessions, line 3: "bob,2024-01-31"',
            "canceling statement due to statement timeout\nCONTEXT:  COPY sessions, line 3: …",
        ),
    ],
)
def test_values_are_masked_and_names_are_not(sqlstate: str | None, text: str, expected: str | None) -> None:
    assert masked(text, sqlstate) == (text if expected is None else expected)


def test_an_error_that_is_its_own_cause_is_masked_once() -> None:
    error = psycopg.errors.InvalidTextRepresentation("broken")
    error.__cause__ = error
    mask_chain(error)
    assert error.args == ("broken",)
