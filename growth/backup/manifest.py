"""The manifest of a backup: what is in it, and of which versions; and the backups of a folder.

Source and target: ``<backups>/<UTC time>/manifest.json``. A folder without one is no backup.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from growth.backup.contents import TableContents
from growth.backup.errors import BackupBroken, BackupFailed
from ingest.digest import sha256_of

FORMAT = 1
NAME = "manifest.json"
WAREHOUSE_DUMP = "warehouse.dump"
AIRFLOW_DUMP = "airflow.dump"
COLD = "cold"  # folder of files that rows of old loads were moved to
NEWEST = "latest"


@dataclass(frozen=True, slots=True)
class File:
    """Size and sha256 of a file of the backup."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """Airflow's metadata: the version of Airflow and of the server, and how many entries which key encrypted."""

    airflow_version: str
    server_version: int
    encrypted_count: int
    key_fingerprint: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds.

    ``server_version`` and ``program_version`` are major versions of the warehouse's server and of pg_dump; ``roles``
    are the roles that own something in the warehouse or may read it; ``tables`` what the dump has, by schema and
    name; ``files`` all files but the manifest, by path below the folder.
    """

    format: int
    taken_at: str
    growth_version: str
    schema_version: int
    server_version: int
    program_version: int
    database_bytes: int
    newest_load_id: int | None
    newest_publication_id: int | None
    as_of_date: str | None
    roles: list[str]
    airflow: Metadata | None
    tables: dict[str, TableContents]
    files: dict[str, File]

    @property
    def size_bytes(self) -> int:
        """Of all its files."""
        return sum(file.size for file in self.files.values())


def package_version(package: str) -> str:
    """Version of an installed package; empty where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a backup."""
    (folder / NAME).write_text(json.dumps(asdict(manifest), indent=1) + "\n")


def read(folder: Path) -> Manifest:
    """The manifest of a backup.

    Raises:
        BackupBroken: there is none, or it cannot be read.
        BackupFailed: it has a format that this release does not know.
    """
    path = folder / NAME
    try:
        content = json.loads(path.read_text())
        known = content["format"]
    except FileNotFoundError:
        raise BackupBroken(f"{folder} is no backup: it has no {NAME}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise BackupBroken(f"{path} cannot be read ({error}): take another backup") from error
    if known != FORMAT:
        raise BackupFailed(
            f"{folder} has backup format {known}, this release (growth {package_version('growth-analytics')}) knows "
            f"{FORMAT}: restore it with the release that made it, growth {content.get('growth_version', '?')}"
        )
    try:
        return _from_json(content)
    except (KeyError, TypeError) as error:
        raise BackupBroken(f"{path} lacks {error}: take another backup") from error


def describe_files(folder: Path) -> dict[str, File]:
    """Size and sha256 of all files of a folder but the manifest, by path below it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / NAME)
    return {path.relative_to(folder).as_posix(): File(path.stat().st_size, sha256_of(path)) for path in paths}


def check_files(folder: Path, manifest: Manifest) -> None:
    """Check that every file is there, and no link to another place, with the content that it was made with.

    Raises:
        BackupBroken: one is not; the text names all of them.
    """
    faults = []
    for name, file in manifest.files.items():
        path = folder / name
        if path.resolve() != folder.resolve() / name:
            faults.append(f"{name} is a link, or elsewhere")
        elif not path.is_file():
            faults.append(f"{name} is missing")
        elif path.stat().st_size != file.size:
            faults.append(f"{name} has {path.stat().st_size:,} bytes instead of {file.size:,}")
        elif sha256_of(path) != file.sha256:
            faults.append(f"{name} has another content than when it was made (sha256)")
    if faults:
        raise BackupBroken(f"{folder} is broken: {'; '.join(faults)}. Nothing was restored: take another backup.")


def whole(folder: Path) -> list[Path]:
    """The backups of a folder, oldest first; those that are under way or were broken off are none."""
    return sorted(path.parent for path in folder.glob(f"*/{NAME}") if not path.parent.name.startswith("."))


def find(name: str, folder: Path) -> Path:
    """The backup of that name in a folder, or at that path; ``latest``: the newest one of the folder.

    Raises:
        BackupFailed: there is none.
    """
    found = whole(folder)
    if name == NEWEST and found:
        return found[-1]
    for path in (folder / name, Path(name)):
        if name != NEWEST and path.is_dir():
            return path.absolute()
    names = ", ".join(path.name for path in found) or "none"
    raise BackupFailed(f"no backup {name}; in {folder} there are: {names}")


def delete(backup: Path) -> None:
    """Delete a backup; broken off in the middle, what is left is no backup."""
    part = backup.with_name(f".{backup.name}.part")
    backup.rename(part)
    shutil.rmtree(part)


def forget(folder: Path, keep: int, say: Callable[[str], None]) -> None:
    """Delete all backups of a folder but the newest ``keep``."""
    for backup in whole(folder)[:-keep]:
        delete(backup)
        say(f"Deleted {backup}")


def _from_json(content: dict[str, Any]) -> Manifest:
    nested = {
        "airflow": Metadata(**content["airflow"]) if content["airflow"] else None,
        "tables": {name: TableContents(**each) for name, each in content["tables"].items()},
        "files": {name: File(**each) for name, each in content["files"].items()},
    }
    return Manifest(**{**content, **nested})
