"""The commands ``growth backup`` and ``growth restore``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from growth import table
from growth.console import connect, say, server
from growth.settings import backups_folder

HEADERS = ("backup", "taken at", "size in MB", "newest load", "newest publication", "data up to", "growth")
MEGABYTE = 1024 * 1024


@click.command()
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder of the backups.")
@click.option("--keep", type=click.IntRange(1), help="Afterwards delete all but the newest so many.  [default: none]")
@click.option("--landing", "with_landing", is_flag=True, help="Also the landed files, whose rows are in raw anyway.")
@click.option("--list", "is_list", is_flag=True, help="List the backups that there are, and take none.")
def backup(folder: Path | None, keep: int | None, with_landing: bool, is_list: bool) -> None:
    """Take a backup: warehouse, Airflow's metadata, contracts and reports, in a folder of its own below backups/.

    Waits for the end of a run that is going on. Prints the folder. No password and no key is in it, but personal data
    are. docs/runbooks/backup-and-restore.md says how to restore one.
    """
    from growth.backup import airflow_state, manifest
    from growth.backup.take import take

    folder = (folder or backups_folder()).absolute()
    if is_list:
        _list(folder)
        return
    made = take(connect(), airflow_state.find(), folder, say, with_landing=with_landing)
    click.echo(made)
    if keep:
        manifest.forget(folder, keep, say)


@click.command()
@click.argument("name", metavar="BACKUP")
@click.option("--from", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder of the backups.")
@click.option("--force", is_flag=True, help="Also over a warehouse that holds data: all of it is replaced.")
@click.option(
    "--verify", is_flag=True, help="Restore into a home of its own, compare, and delete that: change nothing."
)
@click.option("--contracts", "with_contracts", is_flag=True, help="Also the contracts, over those that are there.")
@click.option("--without-airflow", is_flag=True, help="Leave Airflow's metadata as they are.")
def restore(
    name: str, folder: Path | None, force: bool, verify: bool, with_contracts: bool, without_airflow: bool
) -> None:
    """Restore BACKUP (a folder below backups/, a path, or latest) and check that the marts are what they were.

    Airflow must be stopped. The warehouse is replaced when all is restored and compared; until then the one of before
    is there. Exits 1 when anything differs.
    """
    from growth.backup import manifest
    from growth.backup.restore import Wanted
    from growth.backup.restore import restore as restore_backup

    chosen = manifest.find(name, (folder or backups_folder()).absolute())
    if verify:
        sys.exit(_verify(chosen))
    wanted = Wanted(is_forced=force, airflow=not without_airflow, contracts=with_contracts)
    found = restore_backup(chosen, server(), wanted, say)
    say(f"Restored {chosen}: taken {found.taken_at}, data up to {found.as_of_date or '(none)'}.")


def _list(folder: Path) -> None:
    from growth.backup import manifest
    from growth.backup.errors import BackupFailed

    rows = []
    for each in manifest.whole(folder):
        try:
            found = manifest.read(each)
        except BackupFailed as error:
            say(str(error))
            continue
        size = round(found.size_bytes / MEGABYTE, 1)
        newest = (found.newest_load_id, found.newest_publication_id, found.as_of_date)
        rows.append((each.name, found.taken_at, size, *newest, found.growth_version))
    if rows:
        click.echo(table.render(HEADERS, rows), nl=False)
    else:
        say(f"There is no backup in {folder}.")


def verifying_home() -> Path:
    """A new home beside that of others, where nobody but its owner sees what is put back."""
    home = Path(tempfile.mkdtemp(prefix="growth-verify-"))
    if os.geteuid() == 0:
        home.chmod(0o711)  # the server, which does not run as root, gets through to its data
    for name in ("landing", "reports"):
        (home / name).mkdir(mode=0o700)
    return home


def _verify(chosen: Path) -> int:
    """Restore as a user would, on an embedded server in a home that is deleted afterwards."""
    from growth.backup.airflow_state import ADDRESS, KEY, fernet_key

    home = verifying_home()
    elsewhere = ("WAREHOUSE_HOST", ADDRESS, f"{ADDRESS}_CMD")
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere}
    environment |= {"GROWTH_HOME": str(home), "GROWTH_FEEDS": str(chosen / "contracts"), KEY: fernet_key()}
    environment |= {"GROWTH_REPORTS": str(home / "reports"), "GROWTH_LANDING": str(home / "landing")}
    growth = Path(sys.executable).with_name("growth")
    try:
        code = subprocess.run([growth, "restore", str(chosen)], env=environment, check=False).returncode
        say(f"{chosen} can {'' if code == 0 else 'NOT '}be restored. Nothing here was changed.")
        return code
    finally:
        subprocess.run([growth, "down", "--purge"], env=environment, stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(home, ignore_errors=True)
