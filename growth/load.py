"""Load what has landed, feed by feed: shared by the DAG and the command line."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Mapping

from growth.settings import PROJECT_ROOT, Warehouse, feeds_folder, landing_folder
from ingest.archive import delete_old
from ingest.contract import Contract
from ingest.contract_files import load_contracts
from ingest.dbt_sources import stale_sources
from ingest.landing import unclaimed
from ingest.load import load_feed
from ingest.results import LoadProgress, LoadResult

LOG_SECONDS = 10


def load(warehouse: Warehouse, feeds: Iterable[str], run_id: str, say: Callable[[str], None]) -> list[LoadResult]:
    """Load the new files of the feeds; says a line per file, one per feed for those of before, how far long files are.

    Raises:
        KeyError: a feed without a contract.
        ingest.errors.WarehouseUnreachable: connection lost; the files loaded so far stay.
    """
    contracts = load_contracts(feeds_folder())
    conninfo, landing = warehouse.conninfo("ingest"), landing_folder()
    results: list[LoadResult] = []
    for feed in feeds:
        progress = ProgressReport(say)
        loaded = load_feed(
            conninfo, contracts[feed], landing, run_id=run_id, contracts=contracts.values(), progress=progress
        )
        progress.clear()
        if not loaded:
            say(f"{feed}: no file in {landing / feed}: nothing to load")
        for result in loaded:
            if result.status != "skipped":
                say(describe(result))
        # After years there are thousands, and a line for each would be most of what a run logs.
        if skipped := sum(result.status == "skipped" for result in loaded):
            say(f"{feed}: files loaded before, skipped: {skipped:,}")
        for path in delete_old(conninfo, contracts[feed], landing):
            say(f"{path}: deleted from the archive, its time there is over")
        results += loaded
    return results


def warnings(contracts: Mapping[str, Contract]) -> list[str]:
    """What a load passes over, and contracts that the gates do not know yet: a line each."""
    stale = stale_sources(contracts, PROJECT_ROOT / "dbt_project")
    return [
        *unclaimed(landing_folder(), contracts),
        *(f"{path} is not what the contracts say, and gate raw goes by it: run `growth sources`." for path in stale),
    ]


def describe(result: LoadResult) -> str:
    """One line about a delivered file, and one more for what of it is not in raw."""
    if result.error:
        return f"{result.source_file}: {result.status.upper()}: {result.error}"
    rate = result.size_bytes / 1e6 / max(result.seconds, 1e-3)
    text = f"{result.source_file}: {result.loaded_count:,} records in {result.seconds:.1f} s ({rate:.0f} MB/s)"
    if result.rejected_count:
        text += f"\n  {result.rejected_count:,} records are in quarantine: growth rejects show {result.source_file}"
    if result.erased_count:
        text += f"\n  {result.erased_count:,} records are of people who were erased: left out"
    if result.added_columns:
        text += f"\n  not in the contract, not loaded: {', '.join(result.added_columns)}"
    return text


class ProgressReport:
    """How far files are: one line that is written over and over on a terminal, now and then a plain one in a log."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._on_terminal = sys.stderr.isatty()
        self._lock = threading.Lock()
        self._said: dict[str, float] = {}
        self._width = 0

    def __call__(self, progress: LoadProgress) -> None:
        """Report one file; called from several threads."""
        with self._lock:
            if self._on_terminal:
                text = describe_progress(progress)
                sys.stderr.write("\r" + text.ljust(self._width))
                sys.stderr.flush()
                self._width = len(text)
            elif progress.seconds - self._said.get(progress.source_file, 0.0) >= LOG_SECONDS:
                self._said[progress.source_file] = progress.seconds
                self._say(describe_progress(progress))

    def clear(self) -> None:
        """Wipe the line on the terminal."""
        with self._lock:
            if self._width:
                sys.stderr.write("\r" + " " * self._width + "\r")
                sys.stderr.flush()
                self._width = 0


def describe_progress(progress: LoadProgress) -> str:
    """Records so far, share of the file, speed, and the time left at that speed."""
    rate = progress.read_bytes / max(progress.seconds, 1e-3)
    left = (progress.size_bytes - progress.read_bytes) / rate if rate else 0.0
    share = progress.read_bytes / max(progress.size_bytes, 1)
    return (
        f"{progress.source_file}: {progress.record_count:,} records, {share:.0%} of {progress.size_bytes / 1e6:,.0f}"
        f" MB, {rate / 1e6:.0f} MB/s, {left:.0f} s left"
    )
