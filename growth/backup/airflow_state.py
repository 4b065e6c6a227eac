"""Airflow's metadata: where it is, what of it a backup says, and whether a run is going on.

Source: the database that ``AIRFLOW__DATABASE__SQL_ALCHEMY_CONN`` or its command (in the Docker stack) names, else the
one in the embedded server of the home folder.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from embedded.files import read_json
from embedded.server import EmbeddedPostgres
from embedded.stack import run_lock
from growth.backup import manifest
from growth.backup.errors import BackupFailed
from growth.backup.programs import LIBPQ
from growth.settings import GROWTH_DAILY, growth_home

ADDRESS = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
KEY = "AIRFLOW__CORE__FERNET_KEY"
ENCRYPTED = """
select
    (select count(*) from connection where is_encrypted or is_extra_encrypted)
    + (select count(*) from variable where is_encrypted)
"""
SESSIONS = """
select count(*) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""
# Everything that a dump of Airflow's metadata can hold; the schema itself stays, with its owner.
CLEAN = """
do $$
declare
    found record;
begin
    for found in select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') loop
        execute format('drop table if exists public.%I cascade', found.relname);
    end loop;
    for found in select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'v' loop
        execute format('drop view if exists public.%I cascade', found.relname);
    end loop;
    for found in select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'S' loop
        execute format('drop sequence if exists public.%I cascade', found.relname);
    end loop;
    for found in select typname from pg_type where typnamespace = 'public'::regnamespace and typtype = 'e' loop
        execute format('drop type if exists public.%I cascade', found.typname);
    end loop;
    -- the embedded mode's note that it is migrated, which was of the tables of before
    execute format('comment on database %I is null', current_database());
end;
$$
"""


@dataclass(frozen=True, slots=True)
class AirflowState:
    """Airflow's metadata database; ``home`` is the home folder whose embedded server holds it, None for another."""

    conninfo: str
    home: Path | None

    @property
    def login(self) -> dict[str, str]:
        """The variables that lead libpq's programs to it."""
        parts = conninfo_to_dict(self.conninfo)
        return {LIBPQ[name]: str(value) for name, value in parts.items() if name in LIBPQ and value}

    def connect(self) -> psycopg.Connection:
        """A new connection."""
        return psycopg.connect(self.conninfo, connect_timeout=10)

    def size_bytes(self) -> int:
        """Of the database."""
        with self.connect() as conn:
            row = conn.execute("select pg_database_size(current_database())").fetchone()
        return int(row[0]) if row else 0

    def server_version(self) -> int:
        """Major version of its server."""
        with self.connect() as conn:
            return conn.info.server_version // 10000

    def is_there(self) -> bool:
        """Whether Airflow has ever made its tables."""
        with self.connect() as conn:
            return conn.execute("select to_regclass('public.dag_run')").fetchone() != (None,)

    def describe(self) -> manifest.Metadata:
        """What a backup says of it."""
        with self.connect() as conn:
            row = conn.execute(ENCRYPTED).fetchone()
        assert row is not None
        version = manifest.package_version("apache-airflow")
        return manifest.Metadata(version, self.server_version(), int(row[0]), key_fingerprint())

    def is_going_on(self, run_id: str) -> bool:
        """Whether a run of growth_daily has not ended."""
        with self.connect() as conn:
            return (
                conn.execute(
                    "select from dag_run where dag_id = %s and run_id = %s and state = 'running'",
                    [GROWTH_DAILY, run_id],
                ).fetchone()
                is not None
            )

    def other_sessions(self) -> int:
        """How many others are connected: Airflow's services keep connections open."""
        with self.connect() as conn:
            row = conn.execute(SESSIONS).fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def no_run_here(self, timeout_seconds: float = 0.0, tell: Callable[[], None] | None = None) -> Iterator[bool]:
        """Keep `growth run` from starting a run in a process of its own; ``tell`` is called if one is waited for.

        Gives whether that says of any run that it is over: no other process of this home runs the DAG.

        Raises:
            EmbeddedError: one is going on, all that time.
        """
        from embedded.stack import AirflowStack

        if self.home is None or AirflowStack(self.home, None).is_running():
            yield False
        else:
            with run_lock(self.home, timeout_seconds, tell):
                yield True


def _setting(name: str) -> str:
    """A setting of Airflow from the environment, or from the command that is to be asked for it, as Airflow has it."""
    if value := os.environ.get(name):
        return value
    command = os.environ.get(f"{name}_CMD")
    if not command:
        return ""
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=False)
    if done.returncode:  # and not a word of what it said: it could be half a secret
        raise BackupFailed(f"{name}_CMD fails: `{command}` ends with code {done.returncode}")
    return done.stdout.strip()


def key_file() -> Path:
    """Where the embedded mode keeps Airflow's keys."""
    return growth_home() / "airflow" / "secrets.json"


def fernet_key() -> str:
    """The key that encrypts connections and variables; empty where there is none yet."""
    key = _setting(KEY) or str(read_json(key_file()).get("fernet", ""))
    return key.split(",")[0]  # which writes; others only read


def key_fingerprint() -> str:
    """Tells one key from another; of 256 random bits, so that nobody finds them from it."""
    key = fernet_key()
    return hashlib.sha256(key.encode()).hexdigest()[:16] if key else ""


def find(*, make: bool = False) -> AirflowState | None:
    """Airflow's metadata of this environment; None where there never was any.

    Args:
        make: start the embedded server for it where that was never started.

    Raises:
        BackupFailed: it is in something else than Postgres.
    """
    address = _setting(ADDRESS)
    if address:
        kind, _, rest = address.partition("://")
        if not kind.startswith("postgresql"):
            raise BackupFailed(f"{ADDRESS} names no Postgres: back up Airflow's metadata by its own means")
        return AirflowState(f"postgresql://{rest}", None)
    server = EmbeddedPostgres(growth_home())
    if not make and not server.data.exists():
        return None
    server.start()
    return AirflowState(server.metadata_conninfo(), server.home)
