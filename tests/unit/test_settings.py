"""What the environment says of where things are."""

from __future__ import annotations

import os

import pytest

from growth import cli


@pytest.mark.parametrize("host", [None, "db.example"])
def test_what_a_shell_sets_for_other_servers_is_not_taken_for_ours(
    monkeypatch: pytest.MonkeyPatch, host: str | None
) -> None:
    given = {"PGTZ": "America/New_York", "PGCLIENTENCODING": "LATIN1", "PGSSLMODE": "require", "PGSERVICE": "other"}
    for name, value in (given | {"PGDATA": "/elsewhere"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("WAREHOUSE_HOST", raising=False)
    if host is not None:
        monkeypatch.setenv("WAREHOUSE_HOST", host)
    seen: set[str] = set()
    monkeypatch.setattr(cli, "cli", lambda: seen.update(os.environ))
    cli.main()
    assert seen & given.keys() == (set() if host is None else {"PGSSLMODE", "PGSERVICE"})
    assert "PGDATA" in seen
