"""One-shot of the stack: prepare both databases, Airflow's login and connection, and start the first run.

Everything here can run again at each start of the stack.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from sqlalchemy import create_engine, text

LANDING = Path("/opt/growth/landing")
DAG = "growth_daily"
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


def never_ran() -> bool:
    """Whether the DAG has no run yet, of any kind."""
    engine = create_engine(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    with engine.connect() as conn:
        return not conn.execute(text("select 1 from dag_run where dag_id = :dag limit 1"), {"dag": DAG}).fetchall()


def main() -> None:
    """Prepare everything, then trigger the first run if files are waiting and there was none."""
    subprocess.run(["growth", "init"], check=True)
    connection = connection_file()
    airflow(
        ["db", "migrate"],
        ["users", "create", *LOGIN, *NAMES],
        ["connections", "import", connection],
        ["dags", "reserialize"],
    )
    os.unlink(connection)
    if never_ran() and any(LANDING.glob("*/**/*.csv")):
        airflow(["dags", "trigger", DAG, "--run-id", "first_run"])


if __name__ == "__main__":
    main()
