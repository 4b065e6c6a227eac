"""Load one feed's landing folder with ``load_feed``, in a process of its own.

Arguments: folder of contracts, landing folder, status that every file must come out with. The database is that of the
variables PGHOST and so on. The last line written is a JSON object: ``seconds`` of the call, or ``failed`` with the
reason.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from psycopg.conninfo import make_conninfo

from ingest.contract_files import load_contracts
from ingest.load import load_feed


def main(feeds: str, landing: str, status: str) -> None:
    """Load, and report."""
    conninfo = make_conninfo(
        host=os.environ["PGHOST"],
        port=os.environ["PGPORT"],
        dbname=os.environ["PGDATABASE"],
        user=os.environ["PGUSER"],
        password=os.environ["PGPASSWORD"],
        options=os.environ["PGOPTIONS"],
    )
    contract = load_contracts(Path(feeds))["sessions"]
    started = time.monotonic()
    results = load_feed(conninfo, contract, Path(landing), run_id="bench")
    report: dict[str, object] = {"seconds": time.monotonic() - started}
    if wrong := [result for result in results if result.status != status]:
        report["failed"] = f"{wrong[0].status}: {wrong[0].error}"
    elif not results:
        report["failed"] = "no file was found"
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
