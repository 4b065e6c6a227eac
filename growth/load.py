"""Load what has landed, feed by feed: shared by the DAG and the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from growth.settings import Warehouse, feeds_folder, landing_folder
from ingest.contract import load_contracts
from ingest.load import LoadResult, load_feed


def load(warehouse: Warehouse, feeds: Iterable[str], run_id: str, say: Callable[[str], None]) -> list[LoadResult]:
    """Load the new files of the feeds; says a line per file, and a line per feed without any.

    Raises:
        KeyError: a feed without a contract.
        ingest.errors.WarehouseUnreachable: connection lost; the files loaded so far stay.
    """
    contracts = load_contracts(feeds_folder())
    landing = landing_folder()
    results: list[LoadResult] = []
    for feed in feeds:
        loaded = load_feed(warehouse.conninfo("ingest"), contracts[feed], landing, run_id=run_id)
        if not loaded:
            say(f"{feed}: no file in {landing / feed}: nothing to load")
        for result in loaded:
            say(describe(result))
        results += loaded
    return results


def describe(result: LoadResult) -> str:
    """One line about a delivered file."""
    if result.error:
        return f"{result.source_file}: {result.status.upper()}: {result.error}"
    if result.status == "skipped":
        return f"{result.source_file}: loaded before, skipped"
    rate = result.size_bytes / 1e6 / max(result.seconds, 1e-3)
    return f"{result.source_file}: {result.record_count:,} records in {result.seconds:.1f} s ({rate:.0f} MB/s)"
