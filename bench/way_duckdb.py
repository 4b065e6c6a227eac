"""Load one CSV file with DuckDB, which reads it and inserts through its extension postgres (binary COPY).

Arguments: file, table, JSON object of column types. The last line written is a JSON object: ``seconds`` and
``version``, or ``unavailable`` with the reason. The extension comes from a Python package: nothing is downloaded.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main(path: str, table: str, types: str) -> None:
    """Load, and report."""
    try:
        import duckdb
        import duckdb_extension_postgres_scanner as package

        extension = next(Path(package.__file__).parent.glob(f"extensions/v{duckdb.__version__}/*.duckdb_extension"))
        conn = duckdb.connect()
        conn.execute(f"load '{extension}'")
    except StopIteration:
        print(json.dumps({"unavailable": f"no extension postgres for DuckDB {duckdb.__version__}"}))
        return
    except (ImportError, duckdb.Error) as error:
        print(json.dumps({"unavailable": str(error)}))
        return
    # times have no offset and are UTC: read without one, and the server's session says what they are
    columns = {name: "timestamp" if kind == "timestamptz" else kind for name, kind in json.loads(types).items()}
    started = time.monotonic()
    conn.execute("attach '' as warehouse (type postgres)")  # address from PGHOST and so on
    source = f"read_csv('{path}', header = true, columns = {columns})"
    conn.execute(f"insert into warehouse.public.{table} select * from {source}")  # noqa: S608
    conn.execute("detach warehouse")
    print(json.dumps({"seconds": time.monotonic() - started, "version": duckdb.__version__}))


if __name__ == "__main__":
    main(*sys.argv[1:])
