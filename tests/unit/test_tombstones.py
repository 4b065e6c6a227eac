"""Whatever of a quarantined record could be a person's id is looked at, however damaged the record is."""

from __future__ import annotations

import pytest
from support.reading import make_contract

from ingest.tombstones import possible_ids


@pytest.mark.parametrize(
    ("record", "user", "csv"),
    [
        ("jane,2024-13-01", "jane", {}),
        (" jane ,2024-13-01", "jane", {}),
        ("jane doe,2024-13-01", "jane doe", {}),
        ("see jane,2024-13-01", "jane", {}),
        ('"jane,2024-13-01', "jane", {}),
        ('"Doe, Jane",2024-13-01', "Doe, Jane", {}),
        ('x,"Doe, Jane"', "Doe, Jane", {}),
        ('x, " Doe, Jane " ', "Doe, Jane", {}),
        ('5" pipe,"Doe, Jane",2024-01-01', "Doe, Jane", {}),
        ('"Doe, Jane"x,2024-01-01', "Doe, Jane", {}),
        ('"Doe,\nJane",2024-13-01', "Doe,\nJane", {}),
        ('"""J"" Doe",2024-13-01', '"J" Doe', {}),
        ('O"Neil,2024-01-01', 'O"Neil', {}),
        ("'Doe; Jane';2024-13-01", "Doe; Jane", {"delimiter": ";", "quote": "'"}),
        ("^Doe-Jane^-2024", "Doe-Jane", {"delimiter": "-", "quote": "^"}),
        ("'it''s]me']x", "it's]me", {"delimiter": "]", "quote": "'"}),
    ],
)
def test_every_reading_of_a_record_is_looked_at(record: str, user: str, csv: dict[str, str]) -> None:
    contract = make_contract({"user_id": "text"}, **csv)
    assert user in set(possible_ids(record.encode(), contract))


def test_numbers_are_the_same_however_they_are_written() -> None:
    contract = make_contract({"user_id": "bigint"})
    assert "7" in set(possible_ids(b'"+007",2024-13-01', contract))
