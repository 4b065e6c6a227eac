"""Take a backup: warehouse, Airflow's metadata, contracts, reports → a folder of its own.

The folder gets its name when everything in it is on the disk: what was broken off is never taken for a backup.
Metadata comes first and the warehouse after it. So Airflow never believes done what the warehouse does not have: at
worst it does a step again, and every step can be done again.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from embedded.errors import EmbeddedError
from embedded.files import locked, make_folder
from growth.backup import contents, manifest
from growth.backup.airflow_state import AirflowState
from growth.backup.errors import BackupFailed
from growth.backup.programs import Dump, program_version
from growth.backup.quiet import quiet
from growth.files import PARTS
from growth.settings import Warehouse, cold_folder, feeds_folder, landing_folder, reports_folder
from ingest import cold, cold_files
from ingest.errors import ColdFileBroken
from ingest.landing import is_unfinished
from ingest.schema_version import schema_version

ROLES = """
select distinct rolname from pg_shdepend
inner join pg_roles on refobjid = pg_roles.oid and refclassid = 'pg_authid'::regclass
where dbid = (select oid from pg_database where datname = current_database()) order by 1
"""
FACTS = """
select
    now(),
    pg_database_size(current_database()),
    (select max(load_id) from raw._loads),
    (select max(publication_id) from mart.publications),
    (select as_of_date from mart.publications order by publication_id desc limit 1)
"""
SIZE = """
select to_regclass('raw._loads'), to_regclass('mart.publications'), pg_database_size(current_database())
"""
FIRST_GUESS = 3  # a dump takes less than a third of its database, whose indexes it holds as a line each
MEGABYTE = 1024 * 1024


def take(
    warehouse: Warehouse,
    airflow: AirflowState | None,
    folder: Path,
    say: Callable[[str], None],
    *,
    with_landing: bool = False,
) -> Path:
    """Take a backup of everything that a stack needs to go on.

    Args:
        warehouse: of what; it need not be of this release.
        airflow: Airflow's metadata; None where there is none.
        folder: where the backups are; the new one becomes a folder in it.
        say: told what is done.
        with_landing: also the landed files.

    Returns:
        The backup.

    Raises:
        BackupFailed: none was made.
        EmbeddedError: another backup is being taken, or a run is going on; or the folder cannot be written.
    """
    try:
        make_folder(folder, 0o700)
    except EmbeddedError as error:
        raise BackupFailed(
            f"{error}; --to names another folder, and with Docker it is `docker compose run --rm backup`"
        ) from error
    with locked(folder / ".lock", 0.0, f"another backup is being taken in {folder}: wait for its end"):
        for stale in folder.glob(".*.part"):
            shutil.rmtree(stale)
        backup = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        part = backup.with_name(f".{backup.name}.part")
        part.mkdir(mode=0o700)
        try:
            _fill(part, warehouse, airflow, say, with_landing=with_landing)
            _settle(part, folder)
            part.rename(backup)
            cold_files.sync(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return backup


def _fill(
    part: Path,
    warehouse: Warehouse,
    airflow: AirflowState | None,
    say: Callable[[str], None],
    *,
    with_landing: bool,
) -> None:
    if airflow and not airflow.is_there():
        airflow = None
    _check_space(part, warehouse, airflow, with_landing=with_landing)
    with quiet(warehouse, airflow, say):
        metadata = _dump_metadata(airflow, part / manifest.AIRFLOW_DUMP, say) if airflow else None
        # one snapshot for the dump and for what the manifest says of it
        with psycopg.connect(warehouse.conninfo()) as conn:
            conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            server = conn.info.server_version // 10000
            [snapshot] = conn.execute("select pg_export_snapshot()").fetchone() or [None]
            dump = Dump(warehouse.login(warehouse.user), server, part / manifest.WAREHOUSE_DUMP, snapshot)
            begin = time.monotonic()
            try:
                taken_at, database_bytes, load_id, publication_id, as_of_date = conn.execute(FACTS).fetchone() or ()
                tables = contents.measure(conn)
                roles = [name for (name,) in conn.execute(ROLES)]
                version = schema_version(conn)
                _copy_cold(cold.cold_loads(conn), part / manifest.COLD)
                dump.wait()
            finally:
                dump.stop()
    size = (part / manifest.WAREHOUSE_DUMP).stat().st_size
    say(
        f"Warehouse: {database_bytes / MEGABYTE:,.0f} MB became {size / MEGABYTE:,.0f} MB"
        f" in {time.monotonic() - begin:.1f} s"
    )
    copy_files(feeds_folder(), part / "contracts", say)
    copy_files(reports_folder(), part / "reports", say)
    if with_landing:
        copy_files(landing_folder(), part / "landing", say)
    manifest.write(
        part,
        manifest.Manifest(
            format=manifest.FORMAT,
            taken_at=f"{taken_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            growth_version=manifest.package_version("growth-analytics"),
            schema_version=version,
            server_version=server,
            program_version=program_version(server),
            database_bytes=database_bytes,
            newest_load_id=load_id,
            newest_publication_id=publication_id,
            as_of_date=as_of_date and as_of_date.isoformat(),
            roles=roles,
            airflow=metadata,
            tables=tables,
            files=manifest.describe_files(part),
        ),
    )


def _dump_metadata(airflow: AirflowState, target: Path, say: Callable[[str], None]) -> manifest.Metadata:
    dump = Dump(airflow.login, airflow.server_version(), target)
    try:
        dump.wait()
    finally:
        dump.stop()
    say(f"Airflow's metadata: {target.stat().st_size / MEGABYTE:,.1f} MB")
    return airflow.describe()


def _check_space(part: Path, warehouse: Warehouse, airflow: AirflowState | None, *, with_landing: bool) -> None:
    with psycopg.connect(warehouse.conninfo()) as conn:
        ledger, publications, size = conn.execute(SIZE).fetchone() or (None, None, 0)
    if not (ledger and publications):
        raise BackupFailed("The warehouse holds nothing yet: no backup was made.")
    earlier = manifest.whole(part.parent)
    dumps = (size + (airflow.size_bytes() if airflow else 0)) // FIRST_GUESS
    if earlier:
        with suppress(BackupFailed):  # one of another release is no measure
            dumps = min(dumps, manifest.read(earlier[-1]).size_bytes * 5 // 4)
    folders = [reports_folder(), cold_folder(), *([landing_folder()] if with_landing else [])]
    needed = dumps + sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(part).free
    if free < needed:
        raise BackupFailed(
            f"{part.parent} has {free / MEGABYTE:,.0f} MB free, and a backup may take {needed / MEGABYTE:,.0f} MB: no "
            "backup was made. Make room, name another folder with --to, or keep fewer with --keep."
        )


def copy_files(source: Path, target: Path, say: Callable[[str], None]) -> None:
    """Copy the files of a folder, but those that somebody is still writing, and links.

    With Docker we are root, and whoever delivers files would choose by a link what of others we read.
    """
    source = source.resolve()
    for path in sorted(source.rglob("*")):
        if path.is_symlink():
            say(f"{path} is a link: it is not in the backup.")
        elif path.is_file() and path.name != ".gitkeep" and not is_unfinished(path.name) and not path.match(PARTS):
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)


def _copy_cold(loads: Sequence[cold_files.ColdLoad], target: Path) -> None:
    """Copy the files of the loads whose rows are not in the dump."""
    try:
        cold_files.check(loads, cold_folder())
    except ColdFileBroken as error:
        raise BackupFailed(f"{error}\nNo backup was made: it would lack these rows.") from error
    for load in loads:
        copy = target / load.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(cold_folder() / load.path, copy)


def _settle(part: Path, folder: Path) -> None:
    """Give everything to the owner of the folder, who alone may read it, and bring it to the disk."""
    owner = folder.stat()
    for path in (*part.rglob("*"), part):
        if os.geteuid() == 0:
            os.chown(path, owner.st_uid, owner.st_gid)
        path.chmod(0o700 if path.is_dir() else 0o600)
        cold_files.sync(path)
