"""Take a file's rows out of raw again."""

from __future__ import annotations

from datetime import UTC, datetime

from ingest import ledger
from ingest.contract import Contract
from ingest.copy import connect
from ingest.errors import NothingLoaded
from ingest.standstill import hold_off_standstill
from ingest.tombstones import hold_off_erasure


def unload(conninfo: str, contract: Contract, source_file: str, *, run_id: str | None) -> int:
    """Remove the rows that a file brought, in one transaction; models follow at their next run.

    Args:
        conninfo: connection string of a role that owns the raw tables.
        contract: contract of the file's feed.
        source_file: path of the file below the landing folder, as the ledger has it.
        run_id: what the ledger says of who unloaded.

    Returns:
        How many records are gone.

    Raises:
        NothingLoaded: no file of that path is in raw.
    """
    started_at = datetime.now(UTC)
    with connect(conninfo, contract) as conn, conn.transaction():
        hold_off_standstill(conn, source_file)
        hold_off_erasure(conn)
        ledger.lock_path(conn, source_file)
        old = ledger.loaded_file(conn, source_file)
        if old is None:
            raise NothingLoaded(f"{source_file}: no file of that name is loaded")
        load_id = ledger.next_load_id(conn)
        ledger.remove_load(conn, contract, old.load_id, load_id, "unloaded")
        entry = ledger.Entry(contract.feed, source_file, None, 0, started_at, run_id)
        ledger.record_removal(conn, load_id, entry)
    return old.loaded_count
