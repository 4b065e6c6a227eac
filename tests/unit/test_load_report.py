"""What a load says while it reads long files."""

from __future__ import annotations

from pathlib import Path

import pytest

from growth import load
from growth.load import LOG_SECONDS, ProgressReport, describe_progress, warnings
from growth.settings import Warehouse, feeds_folder
from ingest.contract_files import load_contracts
from ingest.results import LoadProgress, LoadResult


def progress(seconds: float, read_bytes: int = 25_000_000, source_file: str = "sessions/a.csv") -> LoadProgress:
    return LoadProgress("sessions", source_file, read_bytes, 100_000_000, 1_234_567, seconds)


def test_a_line_has_records_share_speed_and_time_left() -> None:
    assert describe_progress(progress(5)) == ("sessions/a.csv: 1,234,567 records, 25% of 100 MB, 5 MB/s, 15 s left")
    assert "0% of 100 MB, 0 MB/s, 0 s left" in describe_progress(progress(0, 0)), "nothing is known yet"


def test_a_log_has_a_line_a_file_now_and_then() -> None:
    said: list[str] = []
    report = ProgressReport(said.append)
    for seconds in (1, LOG_SECONDS, LOG_SECONDS + 1, 2 * LOG_SECONDS):
        report(progress(seconds))
    report(progress(LOG_SECONDS, source_file="sessions/b.csv"))
    report.clear()
    assert [line.split(":")[0] for line in said] == ["sessions/a.csv", "sessions/a.csv", "sessions/b.csv"]


def test_files_of_before_are_one_line_a_feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROWTH_LANDING", str(tmp_path))
    new = LoadResult("sessions", "sessions/new.csv", "loaded", 7, 1_000_000, 1.0)
    old = [LoadResult("sessions", f"sessions/{number}.csv", "skipped", 7) for number in range(1200)]
    monkeypatch.setattr(load, "load_feed", lambda *_, **__: [*old, new])
    said: list[str] = []
    load.load(Warehouse.at("127.0.0.1", 1), ["sessions"], "test", said.append)
    assert said == [
        "sessions/new.csv: 7 records in 1.0 s (1 MB/s)",
        "sessions: files loaded before, skipped: 1,200",
    ]


def test_what_is_passed_over_and_what_the_gates_do_not_know_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contracts = load_contracts(feeds_folder())
    monkeypatch.setenv("GROWTH_LANDING", str(tmp_path))
    assert warnings(contracts) == []
    (tmp_path / "stray.csv").touch()
    del contracts["sessions"]
    stray, *stale = warnings(contracts)
    assert stray.startswith("stray.csv lies in no feed's folder")
    assert any("_acquisition__sources.yml is not what the contracts say" in warning for warning in stale)
    assert all("growth sources" in warning for warning in stale)
