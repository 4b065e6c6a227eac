"""Load one CSV file with dlt, by the path on which it does least: the file is imported as it is and sent by COPY.

Arguments: file, schema.table, JSON object of column types. The last line written is a JSON object: ``seconds`` and
``version``, or ``unavailable`` with the reason.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time

DATA_TYPES = {"timestamptz": "timestamp", "boolean": "bool", "numeric": "decimal", "double precision": "double"}


def main(path: str, target: str, types: str) -> None:
    """Load, and report."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    try:
        import dlt
        import psycopg2  # noqa: F401
        from dlt.destinations import postgres
    except ImportError as error:
        print(json.dumps({"unavailable": str(error)}))
        return
    schema, table = target.split(".")
    credentials = {
        "host": os.environ["PGHOST"],
        "port": int(os.environ["PGPORT"]),
        "database": os.environ["PGDATABASE"],
        "username": os.environ["PGUSER"],
        "password": os.environ["PGPASSWORD"],
    }
    columns = [{"name": name, "data_type": DATA_TYPES.get(kind, kind)} for name, kind in json.loads(types).items()]

    @dlt.resource(name=table, columns=columns)
    def records():
        yield dlt.mark.with_file_import(path, "csv")

    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            "bench", pipelines_dir=folder, destination=postgres(credentials=credentials), dataset_name=schema
        )
        started = time.monotonic()
        pipeline.run(records()).raise_on_failed_jobs()
        print(json.dumps({"seconds": time.monotonic() - started, "version": dlt.__version__}))


if __name__ == "__main__":
    main(*sys.argv[1:])
