"""One-shot of the stack: prepare both databases, Airflow's login and its connection ``warehouse``, and the portal.

Everything here can run again at each start of the stack. The first run needs no trigger: the DAG is known and unpaused
when the scheduler starts, which then makes up for the last 04:00 that it missed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

import psycopg

from embedded.airflow_main import LOGIN, PASSWORD, command_line, create_login
from growth import reports
from growth.metrics.airflow import admit_reader
from growth.preflight import DEFAULTS
from growth.roles import set_password


def leave_default(host: str, user: str, variable: str) -> None:
    """Give a server's owner the password of now where it still has the development default.

    A server takes the owner's password only when its data folder is made, so a stack that was tried out with the
    defaults and is then published with passwords of its own would keep the one that everybody knows.
    """
    address = {"host": host, "user": user, "dbname": user, "connect_timeout": 10}
    try:
        psycopg.connect(**address, password=os.environ[variable]).close()
    except psycopg.OperationalError:
        with psycopg.connect(**address, password=DEFAULTS[variable]) as conn:
            set_password(conn, user, os.environ[variable])


def admit_metrics() -> None:
    """Let the service metrics read what it needs of Airflow's database, and nothing else."""
    address = {"host": "airflow-db", "user": "airflow", "dbname": "airflow", "connect_timeout": 10}
    with psycopg.connect(**address, password=os.environ["AIRFLOW_DB_PASSWORD"]) as conn:
        admit_reader(conn, os.environ["WAREHOUSE_ANALYST_PASSWORD"])


def run(command: list[str], **variables: str) -> None:
    """Run a command; when it fails, so does this script, with what the command has said and nothing more."""
    code = subprocess.run(command, env={**os.environ, **variables}, check=False).returncode
    if code:
        sys.exit(code)


def connection() -> dict[str, object]:
    """The connection ``warehouse``."""
    return {
        "conn_type": "postgres",
        "description": "The warehouse that growth_daily works on",
        "host": os.environ["WAREHOUSE_HOST"],
        "port": int(os.environ["WAREHOUSE_PORT"]),
        "schema": os.environ["WAREHOUSE_DB"],
        "login": "transform",
        "password": os.environ["WAREHOUSE_TRANSFORM_PASSWORD"],
    }


def main() -> None:
    """Prepare everything."""
    leave_default(os.environ["WAREHOUSE_HOST"], os.environ["WAREHOUSE_USER"], "WAREHOUSE_PASSWORD")
    leave_default("airflow-db", "airflow", "AIRFLOW_DB_PASSWORD")
    run(["growth", "init"])
    reports.write_index()
    fernet_key = os.environ["AIRFLOW_FERNET_KEY"]
    commands = [["db", "migrate"], create_login(PASSWORD)]
    if fernet_key != DEFAULTS["AIRFLOW_FERNET_KEY"]:
        fernet_key += f",{DEFAULTS['AIRFLOW_FERNET_KEY']}"  # read with either, write with the first
        commands += [["rotate-fernet-key"]]
    if os.environ["AIRFLOW_PASSWORD"] != DEFAULTS["AIRFLOW_PASSWORD"]:
        # a password set in .env holds at each start; the default leaves one alone that was changed in the web interface
        commands += [["users", "reset-password", "--username", LOGIN, PASSWORD]]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        if not os.environ.get("AIRFLOW__SECRETS__BACKEND"):  # else the connection is there (docs/secrets.md)
            json.dump({"warehouse": connection()}, file)
            file.flush()
            commands += [["connections", "import", "--overwrite", file.name]]
        commands += [["dags", "reserialize"]]
        run(command_line(*commands), AIRFLOW__CORE__FERNET_KEY=fernet_key)
    admit_metrics()


if __name__ == "__main__":
    main()
