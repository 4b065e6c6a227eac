"""Airflow's settings in embedded mode, and its metadata database.

Source: the embedded server of the home folder. Target: <home>/airflow (AIRFLOW_HOME, secrets), <home>/logs/airflow.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psycopg
from psycopg import sql

from embedded.airflow_main import LOGIN, command_line, create_login
from embedded.databases import ADDRESS, METADATA
from embedded.errors import EmbeddedError, last_lines
from embedded.files import make_folder, open_log, read_json, write_json
from embedded.server import EmbeddedPostgres
from growth.settings import Warehouse, feeds_folder, landing_folder

FIRST_PORT = 8080
MARK = "GROWTH_STACK"  # every process of a stack carries this variable; its value says of which home
ENDED = ("success", "failed", "skipped", "upstream_failed", "removed")  # states of tasks that change no more
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
NO_LOGINS = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"


def web_port() -> int:
    """The port that the web interface should have."""
    return int(os.environ.get("AIRFLOW_PORT") or FIRST_PORT)


def airflow_environment(home: Path, warehouse: Warehouse, project: Path, port: int | None = None) -> dict[str, str]:
    """The whole environment of an Airflow process of this home; the embedded server must have been started.

    Args:
        home: the home folder, whose embedded server holds Airflow's metadata.
        warehouse: what the DAGs write to; may be another server.
        project: the repository, with ``dags/``.
        port: of the web interface and task API; ``AIRFLOW_PORT`` by default.

    Raises:
        EmbeddedError: the embedded server was never started, or the home cannot be written.
    """
    home = home.absolute()
    folder = make_folder(home / "airflow")
    keys = _keys(folder / "secrets.json")
    url = f"http://{ADDRESS}:{port or web_port()}"
    processors = os.cpu_count() or 2
    parallel = str(max(4, min(16, 2 * processors)))
    connection = {"conn_type": "postgres", "host": warehouse.host, "port": warehouse.port, "schema": warehouse.database}
    transform = {"login": "transform", "password": warehouse.passwords["transform"]}
    environment = {
        **{name: value for name, value in os.environ.items() if name != MARK and not _is_socks(name, value)},
        **warehouse.environment(),
        "GROWTH_HOME": str(home),
        "GROWTH_LANDING": str(landing_folder()),
        "GROWTH_FEEDS": str(feeds_folder()),
        "GROWTH_PROJECT": str(project.absolute()),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "NO_PROXY": _with_loopback(os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""),
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
        "SPT_NOENV": "1",  # process titles leave the environment readable, by which `down` finds every process
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW_CONN_WAREHOUSE": json.dumps({**connection, **transform}),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": keys["api"],
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": keys["jwt"],
        "AIRFLOW__CORE__AUTH_MANAGER": FAB,
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(project.absolute() / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__FERNET_KEY": keys["fernet"],
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": parallel,
        "AIRFLOW__CORE__PARALLELISM": parallel,
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1" if processors < 4 else "2",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",  # seconds until an edited DAG shows
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": _sqlalchemy(EmbeddedPostgres(home).metadata_conninfo()),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(make_folder(home / "logs" / "airflow")),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    environment["no_proxy"] = environment["NO_PROXY"]
    if environment.pop("PYTHONDONTWRITEBYTECODE", ""):
        environment["PYTHONPYCACHEPREFIX"] = str(home / "pycache")  # compiling all of Airflow each time takes seconds
    if sys.platform == "darwin":
        environment["OBJC_DISABLE_INITIALIZE_FORK_SAFETY"] = "YES"
    return environment


def _is_socks(name: str, value: str) -> bool:
    """Whether a variable sets a proxy that Airflow's client cannot even begin with, also for calls to this machine."""
    return name.lower().endswith("_proxy") and value.lower().startswith("socks")


def commands_to_migrate(home: Path, with_login: bool) -> list[list[str]]:
    """The Airflow commands that bring the metadata database up to date; none where it is.

    Args:
        home: the home folder; its server runs.
        with_login: whether the web interface's user is wanted too.
    """
    done = _marker(home)
    commands = [] if done.get("version") == _versions() else [["db", "migrate"]]
    if with_login and not (done.get("login") and not commands):
        commands.append(create_login(f"--password={LOGIN}"))  # it listens on loopback only
    return commands


def mark_migrated(home: Path, with_login: bool) -> None:
    """Remember, in the database itself, that it is up to date for the Airflow of now."""
    done = _marker(home)
    login = with_login or (done.get("version") == _versions() and bool(done.get("login")))
    with psycopg.connect(EmbeddedPostgres(home).metadata_conninfo(), autocommit=True) as conn:
        text = json.dumps({"version": _versions(), "login": login})
        conn.execute(sql.SQL("comment on database {} is {}").format(sql.Identifier(METADATA), sql.Literal(text)))


def migrate(home: Path, environment: dict[str, str]) -> None:
    """Bring the metadata database up to date and make the login of the web interface, where that is needed.

    Raises:
        EmbeddedError: it failed; the text has the last lines of the log.
    """
    commands = commands_to_migrate(home, with_login=True)
    if not commands:
        return
    log = home / "logs" / "airflow" / "migrate.log"
    descriptor = open_log(log)
    try:
        code = subprocess.run(
            command_line(*commands),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            check=False,
        ).returncode
    finally:
        os.close(descriptor)
    if code != 0:
        raise EmbeddedError(f"Airflow could not prepare its database; the end of {log}:\n{last_lines(log)}")
    mark_migrated(home, with_login=True)


def fail_abandoned_runs(home: Path) -> None:
    """Close the runs that a killed `growth run` left open: a scheduler would go on with them, or wait for their end."""
    closed = "set state = 'failed', end_date = now()"
    with psycopg.connect(EmbeddedPostgres(home).metadata_conninfo()) as conn:
        if conn.execute("select to_regclass('dag_run')").fetchone() == (None,):
            return
        runs = conn.execute(
            f"update dag_run {closed} where state in ('running', 'queued') and triggered_by::text ilike 'test' "
            "returning dag_id, run_id"
        ).fetchall()
        for dag_id, run_id in runs:
            conn.execute(
                f"update task_instance {closed} where dag_id = %s and run_id = %s"
                " and (state is null or state <> all(%s))",
                [dag_id, run_id, list(ENDED)],
            )


def _keys(path: Path) -> dict[str, str]:
    """The secrets that all Airflow processes of a home share, each made once: another Fernet key reads nothing."""
    kept = read_json(path)
    fernet = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    fresh = {"api": secrets.token_urlsafe(32), "jwt": secrets.token_urlsafe(48), "fernet": fernet}
    if not fresh.keys() <= kept.keys():
        kept = {**fresh, **kept}
        write_json(path, kept)
    return kept


def _marker(home: Path) -> dict[str, object]:
    with psycopg.connect(EmbeddedPostgres(home).metadata_conninfo()) as conn:
        row = conn.execute(
            "select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()"
        ).fetchone()
    try:
        done = json.loads(row[0]) if row and row[0] else {}
    except ValueError:
        return {}
    return done if isinstance(done, dict) else {}


def _versions() -> str:
    found = []
    for package in ("apache-airflow", "apache-airflow-providers-fab"):
        try:
            found.append(version(package))
        except PackageNotFoundError as error:
            raise EmbeddedError(f"{package} is not installed in this environment: run `make demo`") from error
    return " ".join(found)


def _sqlalchemy(conninfo: str) -> str:
    return conninfo.replace("postgresql://", "postgresql+psycopg2://", 1)


def _with_loopback(hosts: str) -> str:
    return ",".join(dict.fromkeys([*filter(None, hosts.split(",")), ADDRESS, "localhost"]))
