"""Where things are: the warehouse, its roles, the landing folder, the project.

Source: the environment. Everything has a default that works on a developer's own machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROJECT_ROOT = Path(os.environ.get("GROWTH_PROJECT") or Path(__file__).resolve().parent.parent)
GROWTH_DAILY = "growth_daily"  # the DAG that loads, tests, builds and publishes
ROLES = ("ingest", "transform", "analyst")
# Variables by which libpq sets a session, and finds a server, beside what a connection string says.
OF_SESSIONS = ("PGCLIENTENCODING", "PGDATESTYLE", "PGGEQO", "PGOPTIONS", "PGTZ")
OF_CONNECTIONS = (
    *("PGCHANNELBINDING", "PGGSSENCMODE", "PGHOSTADDR", "PGREQUIREAUTH", "PGSERVICE", "PGSSLMODE", "PGSSLNEGOTIATION"),
    *("PGSSLROOTCERT", "PGTARGETSESSIONATTRS"),
)
DASHBOARD_PORT, PORTAL_PORT = 8501, 8081


def growth_home() -> Path:
    """Folder of everything that this machine keeps: embedded Postgres, logs, dbt artifacts."""
    return Path(os.environ.get("GROWTH_HOME") or PROJECT_ROOT / ".growth").absolute()


def landing_folder() -> Path:
    """Folder that files are delivered to, one folder a feed."""
    return Path(os.environ.get("GROWTH_LANDING") or PROJECT_ROOT / "landing").absolute()


def feeds_folder() -> Path:
    """Folder of the feed contracts."""
    return Path(os.environ.get("GROWTH_FEEDS") or PROJECT_ROOT / "ingest" / "feeds").absolute()


def reports_folder() -> Path:
    """Folder of the pages that people look at: Elementary's report, the dbt docs, an index of both."""
    return Path(os.environ.get("GROWTH_REPORTS") or PROJECT_ROOT / "reports").absolute()


def dbt_folder() -> Path:
    """Folder of what dbt writes: its logs, and its artifacts by target."""
    return growth_home() / "dbt"


def dbt_target(target: str = "prod") -> Path:
    """Folder of dbt's artifacts of a target; each has its own: what is parsed for one is of no use to the other."""
    return dbt_folder() / f"target-{target}"


def cold_folder() -> Path:
    """Folder of the files that rows of old loads were moved to (retention.raw_days of the contracts)."""
    return growth_home() / "cold"


def backups_folder() -> Path:
    """Folder of the backups, one folder each; best on another disk than the warehouse."""
    return Path(os.environ.get("GROWTH_BACKUPS") or PROJECT_ROOT / "backups").absolute()


def forget_other_servers() -> None:
    """Take out of the environment what a shell sets for other servers; libpq would take it for ours.

    How to reach a server (PGSSLMODE and the like) stays where ``WAREHOUSE_HOST`` names one of the user's.
    """
    for name in (*OF_SESSIONS, *(OF_CONNECTIONS if Warehouse.from_environment() is None else ())):
        os.environ.pop(name, None)


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A Postgres (15 or newer) database and the passwords of the roles in it."""

    host: str
    port: int
    database: str
    user: str
    passwords: Mapping[str, str] = field(repr=False)

    @classmethod
    def from_environment(cls) -> Warehouse | None:
        """The warehouse that ``WAREHOUSE_HOST`` names; None where it is not set: the embedded one."""
        host = os.environ.get("WAREHOUSE_HOST")
        if not host:
            return None
        return cls.at(host, int(os.environ.get("WAREHOUSE_PORT") or 5432))

    @classmethod
    def at(cls, host: str, port: int, own: Mapping[str, str] | None = None) -> Warehouse:
        """A warehouse at an address, everything else from the environment.

        Args:
            host: its address.
            port: its port.
            own: passwords of the server's own, by role and ``owner``, where the environment has none.
        """
        own = own or {}
        user = os.environ.get("WAREHOUSE_USER") or "growth"
        passwords = {
            role: os.environ.get(f"WAREHOUSE_{role.upper()}_PASSWORD") or own.get(role) or role for role in ROLES
        }
        passwords[user] = os.environ.get("WAREHOUSE_PASSWORD") or own.get("owner") or "growth"
        return cls(host, port, os.environ.get("WAREHOUSE_DB") or "growth", user, passwords)

    def conninfo(self, role: str | None = None) -> str:
        """Connection string for libpq, as the owner or as one of ``ROLES``."""
        from psycopg.conninfo import make_conninfo

        role = role or self.user
        # nobody else's functions: transform may make a schema of the owner's name, which else is searched by default
        path = " -c search_path=pg_catalog,pg_temp" if role == self.user else ""
        return make_conninfo(
            host=self.host,
            port=self.port,
            dbname=self.database,
            user=role,
            password=self.passwords[role],
            application_name="growth",
            connect_timeout=10,
            options=f"-c timezone=UTC -c datestyle=ISO,YMD{path}",
        )

    def login(self, role: str) -> dict[str, str]:
        """The variables that lead every libpq program to this warehouse, as that role."""
        address = {"PGHOST": self.host, "PGPORT": str(self.port), "PGDATABASE": self.database}
        return {**address, "PGUSER": role, "PGPASSWORD": self.passwords[role]}

    def environment(self) -> dict[str, str]:
        """The variables that lead another process to this warehouse."""
        return {
            "WAREHOUSE_HOST": self.host,
            "WAREHOUSE_PORT": str(self.port),
            "WAREHOUSE_DB": self.database,
            "WAREHOUSE_USER": self.user,
            "WAREHOUSE_PASSWORD": self.passwords[self.user],
            **{f"WAREHOUSE_{role.upper()}_PASSWORD": self.passwords[role] for role in ROLES},
        }
