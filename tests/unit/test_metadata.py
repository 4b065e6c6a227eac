"""Secrets of Airflow's processes: each is made once, and lives as long as the home folder."""

from __future__ import annotations

from pathlib import Path

from embedded import metadata
from embedded.files import read_json, write_json


def test_a_key_that_is_missing_is_made_and_those_that_are_there_stay(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    first = metadata._keys(path)
    assert metadata._keys(path) == first
    write_json(path, {name: key for name, key in first.items() if name != "jwt"})
    second = metadata._keys(path)
    assert second.pop("jwt") != first.pop("jwt")
    assert second == first
    assert read_json(path) == metadata._keys(path)
