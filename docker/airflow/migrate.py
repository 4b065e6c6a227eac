"""One-shot of the stack: prepare both databases, Airflow's login and its connection ``warehouse``.

Everything here can run again at each start of the stack. The first run needs no trigger: the DAG is known and unpaused
when the scheduler starts, which then makes up for the last 04:00 that it missed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

LOGIN = ["--username", "airflow", "--password", os.environ["AIRFLOW_PASSWORD"], "--role", "Admin"]
NAMES = ["--firstname", "Growth", "--lastname", "Analytics", "--email", "airflow@localhost"]


def airflow(*commands: list[str]) -> None:
    """Run Airflow commands in one process: each start of Airflow takes seconds."""
    words = [word for command in commands for word in (":::", *command)][1:]
    subprocess.run([sys.executable, "-m", "embedded.airflow_main", *words], check=True)


def connection_file() -> str:
    """The connection ``warehouse`` as a file to import; one that is there already stays as it is."""
    connection = {
        "conn_type": "postgres",
        "description": "The warehouse that growth_daily works on",
        "host": os.environ["WAREHOUSE_HOST"],
        "port": int(os.environ["WAREHOUSE_PORT"]),
        "schema": os.environ["WAREHOUSE_DB"],
        "login": "transform",
        "password": os.environ["WAREHOUSE_TRANSFORM_PASSWORD"],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump({"warehouse": connection}, file)
    return file.name


def main() -> None:
    """Prepare everything."""
    subprocess.run(["growth", "init"], check=True)
    connection = connection_file()
    airflow(
        ["db", "migrate"],
        ["users", "create", *LOGIN, *NAMES],
        ["connections", "import", connection],
        ["dags", "reserialize"],
    )
    os.unlink(connection)


if __name__ == "__main__":
    main()
