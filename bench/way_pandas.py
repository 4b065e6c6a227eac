"""Load one CSV file with pandas: read_csv in chunks, each inserted by to_sql as pandas does without being told how.

Arguments: file, table, JSON object of column types. The last line written is a JSON object: ``seconds`` and
``version``, or ``unavailable`` with the reason.
"""

from __future__ import annotations

import json
import sys
import time

CHUNK_ROWS = 100_000


def main(path: str, table: str, types: str) -> None:
    """Load, and report."""
    try:
        import pandas as pd
        import psycopg2  # noqa: F401
        from sqlalchemy import create_engine
    except ImportError as error:
        print(json.dumps({"unavailable": str(error)}))
        return
    times = [name for name, kind in json.loads(types).items() if kind == "timestamptz"]
    engine = create_engine("postgresql+psycopg2://")  # address from PGHOST and so on
    started = time.monotonic()
    with engine.begin() as conn:
        for chunk in pd.read_csv(path, parse_dates=times, chunksize=CHUNK_ROWS):
            chunk.to_sql(table, conn, if_exists="append", index=False)
    engine.dispose()
    print(json.dumps({"seconds": time.monotonic() - started, "version": pd.__version__}))


if __name__ == "__main__":
    main(*sys.argv[1:])
