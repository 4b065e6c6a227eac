"""Restore a backup: into a database beside the warehouse, which takes its place once its contents are those of then.

So a restore that is broken off leaves the warehouse as it was. Roles and passwords are set by the environment of now:
no backup holds a password of the warehouse.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from psycopg import sql

from embedded.files import make_folder, own_like_parent
from embedded.server import EmbeddedPostgres
from growth.backup import airflow_state, contents, manifest, programs
from growth.backup.airflow_state import AirflowState
from growth.backup.errors import BackupFailed, RestoreDiffers
from growth.backup.manifest import Manifest
from growth.files import forget_parts, replacing
from growth.settings import (
    ROLES,
    Warehouse,
    cold_folder,
    feeds_folder,
    growth_home,
    landing_folder,
    reports_folder,
)
from growth.warehouse import OLDEST_SERVER, create_roles, initialise
from ingest.archive import move_back
from ingest.contract_files import load_contracts
from ingest.schema_version import VERSION

MAINTENANCE = "postgres"  # the database to stand in while the warehouse's own are renamed
SWAP_TRIES = 20
MEGABYTE = 1024 * 1024
WRITERS = """
select count(*) from pg_stat_activity
where datname = %s and pid <> pg_backend_pid() and backend_type = 'client backend' and usename <> 'analyst'
"""
STOP_AIRFLOW = "stop it first: `growth down`, with Docker `docker compose down`"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to restore, and over what: ``is_forced`` also over data; ``contracts`` also those of the backup."""

    is_forced: bool = False
    airflow: bool = True
    contracts: bool = False


def restore(
    backup: Path,
    warehouse: Warehouse,
    wanted: Wanted,
    say: Callable[[str], None],
) -> Manifest:
    """Restore a backup, and check that the warehouse is what it was.

    Args:
        backup: its folder.
        warehouse: what to restore over.
        wanted: what to restore.
        say: told what is done.

    Returns:
        What was restored.

    Raises:
        BackupFailed: nothing was restored, or (where the text says so) not all of it.
        RestoreDiffers: the contents are not those of then; the warehouse of before is still there.
        RawSchemaMismatchError: the contracts of now do not fit; the warehouse of before is still there.
    """
    found = manifest.read(backup)
    check_versions(found, with_airflow=wanted.airflow)
    server = _check_target(warehouse, found, is_forced=wanted.is_forced)
    if Warehouse.from_environment() is None and (data := EmbeddedPostgres(growth_home()).data).exists():
        _check_space(data, found)
    airflow = airflow_state.find(make=True) if wanted.airflow and found.airflow else None
    with airflow.no_run_here() if airflow else nullcontext():
        if airflow and found.airflow:
            _check_airflow(airflow, found.airflow)
        say("Checking the files of the backup ...")
        manifest.check_files(backup, found)
        for name, target in _folders(wanted).items():
            places(found, name, target)
        side = replace(warehouse, database=f"{warehouse.database}_restored")
        begin = time.monotonic()
        _make_database(warehouse, side.database)
        try:
            _fill(side, server, backup, found, say)
            folder = backup / "contracts" if wanted.contracts else feeds_folder()
            for change in initialise(side, load_contracts(folder)):
                say(change)
            if airflow:
                _restore_airflow(airflow, backup)
            former = _cold_paths(warehouse)
            make_folder(cold_folder(), 0o700)
            put_back(backup, found, manifest.COLD, cold_folder())  # no two have one name: nothing is written over
            _swap(warehouse, side.database)
            for path in former - _cold_paths(warehouse):  # of rows that are in raw now, or not in the warehouse
                (cold_folder() / path).unlink(missing_ok=True)
        except BaseException:
            with suppress(psycopg.Error), psycopg.connect(_maintenance(warehouse), autocommit=True) as conn:
                _drop(conn, side.database)
            raise
    say(
        f"Warehouse: {sum(each.row_count for each in found.tables.values()):,} rows in {len(found.tables)} tables, the "
        f"marts as they were, in {time.monotonic() - begin:.1f} s"
    )
    put_back(backup, found, "reports", reports_folder())
    put_back(backup, found, "landing", landing_folder(), is_over=False)
    if wanted.contracts:
        put_back(backup, found, "contracts", feeds_folder())
        say(f"Contracts are in {feeds_folder()}; `growth sources` brings dbt's sources in line.")
    elif changed := _changed_contracts(backup / "contracts"):
        say(
            f"Contracts that are not those of the backup, and stay as they are: {', '.join(changed)}."
            " `--contracts` takes those of the backup."
        )
    _move_back(warehouse, say)
    if landing_folder().exists() and not any(_landed(landing_folder())):
        say(
            f"{landing_folder()} is empty: set SAMPLE_DATA=false in .env before the Docker stack starts, or it lands"
            " its sample data there."
        )
    return found


def check_versions(found: Manifest, *, with_airflow: bool = True) -> None:
    """Refuse a backup of a newer release, or of a newer Airflow whose metadata are to be restored."""
    if found.schema_version > VERSION:
        raise BackupFailed(
            f"The backup is of growth {found.growth_version}, which has version {found.schema_version} of schema raw; "
            f"this release knows {VERSION}: restore it with that release or a newer one."
        )
    installed = manifest.package_version("apache-airflow")
    if with_airflow and found.airflow and _release(found.airflow.airflow_version) > _release(installed):
        raise BackupFailed(
            f"The backup is of Airflow {found.airflow.airflow_version}, and {installed} is installed: restore it with "
            "that version or a newer one, or without Airflow's metadata: --without-airflow"
        )


def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def _check_target(warehouse: Warehouse, found: Manifest, *, is_forced: bool) -> int:
    """Major version of the server, if it may be restored to."""
    with psycopg.connect(warehouse.conninfo()) as conn:
        server = conn.info.server_version // 10000
        if server < OLDEST_SERVER:
            raise BackupFailed(f"Postgres {server} at {warehouse.host} is too old: {OLDEST_SERVER} or newer is needed.")
        if programs.program_version(server) < found.program_version:
            raise BackupFailed(
                f"The dump was made by pg_dump {found.program_version}, and pg_restore is older: "
                f"install the client programs of Postgres {found.program_version}."
            )
        [can_create] = conn.execute(
            "select rolcreatedb or rolsuper from pg_roles where rolname = current_user"
        ).fetchone() or [False]
        if not can_create:
            raise BackupFailed(
                f"Role {warehouse.user} may not create databases, which a restore does: alter role "
                f"{warehouse.user} createdb"
            )
        [writers] = conn.execute(WRITERS, [warehouse.database]).fetchone() or [0]
        if writers:
            raise BackupFailed(
                f"{writers} sessions other than analyst's use the warehouse: stop what writes to it first "
                "(`growth down`, with Docker `docker compose down`)."
            )
        [ledger] = conn.execute("select to_regclass('raw._loads')").fetchone() or [None]
        if ledger and not is_forced and (row := conn.execute("select count(*) from raw._loads").fetchone()) and row[0]:
            raise BackupFailed(
                f"The warehouse at {warehouse.host}:{warehouse.port}, database {warehouse.database}, holds data "
                f"({row[0]:,} loads). `--force` replaces all of it by the backup; `growth backup` keeps it first."
            )
    return server


def _check_space(data: Path, found: Manifest) -> None:
    free = shutil.disk_usage(data).free
    if free < found.database_bytes:
        raise BackupFailed(
            f"{data} has {free / MEGABYTE:,.0f} MB free, and the restored warehouse takes "
            f"{found.database_bytes / MEGABYTE:,.0f} MB, beside the one of before: make room (for --verify, or let "
            "TMPDIR name another folder). Nothing was restored."
        )


def _check_airflow(airflow: AirflowState, described: manifest.Metadata) -> None:
    if sessions := airflow.other_sessions():
        raise BackupFailed(f"Airflow is running ({sessions} sessions use its metadata): {STOP_AIRFLOW}.")
    if described.encrypted_count and described.key_fingerprint != airflow_state.key_fingerprint():
        where = (
            f"the former home's airflow/secrets.json to {airflow_state.key_file()}"
            if airflow.home
            else "the AIRFLOW_FERNET_KEY of then into .env or its file"
        )
        raise BackupFailed(
            f"{described.encrypted_count} connections or variables of Airflow are encrypted with another key than that "
            f"of now: put {where}, or leave Airflow's metadata out: --without-airflow"
        )


def _maintenance(warehouse: Warehouse) -> str:
    return replace(warehouse, database=MAINTENANCE).conninfo()


def _make_database(warehouse: Warehouse, name: str) -> None:
    with psycopg.connect(_maintenance(warehouse), autocommit=True) as conn:
        _drop(conn, name)  # of a restore that was killed
        statement = sql.SQL("create database {} template template0 encoding 'UTF8'")
        conn.execute(statement.format(sql.Identifier(name)))


def _drop(conn: psycopg.Connection, name: str) -> None:
    conn.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _fill(side: Warehouse, server: int, backup: Path, found: Manifest, say: Callable[[str], None]) -> None:
    with psycopg.connect(side.conninfo()) as conn:
        create_roles(conn, side)  # before the dump, which gives them what they own
        for role in _make_other_roles(conn, found.roles):
            say(f"Role {role} was missing; it was made with what it may read, and without a login.")
    say("Restoring the warehouse ...")
    jobs = f"--jobs={programs.JOBS}"
    programs.restore(side.login(side.user), server, backup / manifest.WAREHOUSE_DUMP, jobs)
    with psycopg.connect(side.conninfo(), autocommit=True) as conn:
        if lines := contents.differences(found.tables, contents.measure(conn)):
            raise RestoreDiffers(
                "What was restored is not what was backed up:\n"
                + "\n".join(f"  {line}" for line in lines)
                + "\nThe warehouse of before is still there. Restore another backup."
            )
        conn.execute("analyze")  # no dump has statistics, and models are slow without


def _make_other_roles(conn: psycopg.Connection, roles: list[str]) -> list[str]:
    """Make roles of users' own, without which their grants could not be restored."""
    existing = {name for (name,) in conn.execute("select rolname from pg_roles")}
    missing = [role for role in roles if role not in existing and role not in ROLES]
    for role in missing:
        conn.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
        conn.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(role)))
    return missing


def _restore_airflow(airflow: AirflowState, backup: Path) -> None:
    with airflow.connect() as conn:
        conn.execute(airflow_state.CLEAN)
    server = airflow.server_version()
    whole = ["--single-transaction"] if server >= programs.KNOWS_SETTING else []
    programs.restore(airflow.login, server, backup / manifest.AIRFLOW_DUMP, "--no-owner", "--no-privileges", *whole)


def _cold_paths(warehouse: Warehouse) -> set[str]:
    """The files that the warehouse knows of, in use or not."""
    with psycopg.connect(warehouse.conninfo()) as conn:
        if conn.execute("select to_regclass('raw._cold_files')").fetchone() == (None,):
            return set()
        return {path for (path,) in conn.execute("select path from raw._cold_files")}


def _swap(warehouse: Warehouse, side: str) -> None:
    """Give the restored database the warehouse's name, in one transaction, and drop the one of before."""
    former = f"{warehouse.database}_replaced"
    rename = sql.SQL("alter database {} rename to {}")
    with psycopg.connect(_maintenance(warehouse), autocommit=True) as conn:
        _drop(conn, former)
        for attempt in range(SWAP_TRIES):
            conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = any(%s)",
                [[warehouse.database, side]],
            )
            try:
                with conn.transaction():
                    conn.execute(rename.format(sql.Identifier(warehouse.database), sql.Identifier(former)))
                    conn.execute(rename.format(sql.Identifier(side), sql.Identifier(warehouse.database)))
                break
            except psycopg.errors.ObjectInUse:  # somebody was fast to connect again
                if attempt == SWAP_TRIES - 1:
                    raise
                time.sleep(0.2)
        _drop(conn, former)


def _folders(wanted: Wanted) -> dict[str, Path]:
    """The folders of the backup that are put back, and where."""
    contracts = {"contracts": feeds_folder()} if wanted.contracts else {}
    return {manifest.COLD: cold_folder(), "reports": reports_folder(), "landing": landing_folder(), **contracts}


def places(found: Manifest, name: str, target: Path) -> dict[str, Path]:
    """Where the files of a folder of the backup belong, by their paths below the backup.

    Raises:
        BackupFailed: a link leads one of them out of the folder: we may be root, and its owner somebody else.
    """
    below = {path: target / path.removeprefix(f"{name}/") for path in found.files if path.startswith(f"{name}/")}
    for place in below.values():
        if not place.resolve().is_relative_to(target.resolve()):
            raise BackupFailed(
                f"A link in {target} leads to {place.resolve()}, and files of the backup would be written there: "
                "take it away, then restore."
            )
    return below


def put_back(backup: Path, found: Manifest, name: str, target: Path, *, is_over: bool = True) -> None:
    """Copy the files of a folder of the backup, those that were checked, to where they were."""
    below = places(found, name, target)
    for folder in {place.parent for place in below.values()}:
        forget_parts(folder)
    for path, place in below.items():
        if is_over or not place.exists():
            make_folder(place.parent)
            with replacing(place) as part:
                with (backup / path).open("rb") as content, part.open("xb") as file:  # a new one, not what a link names
                    shutil.copyfileobj(content, file)
                own_like_parent(part)


def _move_back(warehouse: Warehouse, say: Callable[[str], None]) -> None:
    """Let the next run load what was loaded and archived after the backup: the ledger of then does not know of it."""
    found = move_back(warehouse.conninfo("ingest"), landing_folder(), make_folder)
    if found.moved:
        say(
            "Files that were archived after the backup are in landing/ again, and are loaded by the next run: "
            f"{', '.join(found.moved)}"
        )
    if found.left:
        say(
            "Files of landing/_archive that the warehouse does not know and that could not be moved back:\n"
            + "\n".join(f"  {line}" for line in found.left)
        )


def _landed(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _changed_contracts(folder: Path) -> list[str]:
    """Contracts of the backup that the project has otherwise, or not at all."""
    names = [path.relative_to(folder) for path in sorted(folder.rglob("*.yml"))]
    return [
        name.as_posix()
        for name in names
        if not (feeds_folder() / name).is_file() or (feeds_folder() / name).read_bytes() != (folder / name).read_bytes()
    ]
