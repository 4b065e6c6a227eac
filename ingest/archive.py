"""Move loaded files out of the way, for feeds whose contract says so, and delete them when their time is over.

Where the ledger is that of an earlier time, what was archived since is moved back.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from ingest.contract import Contract
from ingest.copy import connect
from ingest.digest import sha256_of
from ingest.errors import FileUnfinished
from ingest.landing import ARCHIVE_FOLDER, EXTENSIONS, Delivery
from ingest.source import Source

# Whatever is loaded whole, and long enough ago: by content, as archived files may have other names than the ledger. One
# content may have come more than once. Records of a file that was replaced wait for nobody.
_OVER = """
select size_bytes, sha256 from raw._loads as loads
where feed = %s and status in ('loaded', 'replaced')
group by size_bytes, sha256
having
    max(finished_at) < now() - %s * interval '1 day'
    and not bool_or(status = 'loaded' and exists (
        select from raw._rejects as rejects
        where rejects.load_id = loads.load_id and replayed_at is null and discarded_at is null
    ))
"""
# A refused file is in no archive: what is there of its content was loaded later.
_KNOWN = "select feed, size_bytes, sha256 from raw._loads where status in ('loaded', 'replaced', 'unloaded')"
# What archive() calls a second content of one path.
_NUMBERED = re.compile(rf"(.+(?:{'|'.join(map(re.escape, EXTENSIONS))}))\.([0-9]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MovedBack:
    """Archived files that the ledger does not know.

    ``moved`` are their paths below the landing folder, ``left`` those below the archive folder, each with a reason.
    """

    moved: list[str]
    left: list[str]


def archive(delivery: Delivery, source: Source, landing: Path) -> None:
    """Move a loaded file to the same path below the archive folder of the landing folder.

    A file that another content left there is kept: the newer one gets a number. What came to the path since the file
    was read stays there, or comes back.

    Raises:
        FileUnfinished: such a file came.
        OSError: the file cannot be moved; or such a file was moved and cannot be brought back, as the message says.
    """
    source.check_unchanged()
    target = landing.resolve() / ARCHIVE_FOLDER / delivery.path.relative_to(landing.resolve())
    target.parent.mkdir(parents=True, exist_ok=True)
    free, number = target, 1
    while free.exists():
        number += 1
        free = target.with_name(f"{target.name}.{number}")
    delivery.path.rename(free)
    try:
        source.check_unchanged(free)
    except FileUnfinished:  # it came after the check above, and only now nobody can put another in its place
        try:
            delivery.path.hardlink_to(free)  # never over a file that is there
        except OSError as error:
            raise OSError(
                f"what came in its place was not loaded, and lies in {free} ({error.strerror}): land it again"
            ) from error
        free.unlink()
        raise


def move_back(conninfo: str, landing: Path, make_folder: Callable[[Path], object]) -> MovedBack:
    """Move archived files whose content the ledger does not know to where they were delivered, to be loaded again.

    So it is after a restore: they were loaded when the backup had been taken. Of several contents of one path, the one
    that came last is moved. Nothing is written over. ``make_folder`` makes a folder and those above it.

    Raises:
        psycopg.Error: no connection, or no ledger.
    """
    folder, result = landing / ARCHIVE_FOLDER, MovedBack([], [])
    with psycopg.connect(conninfo) as conn:
        known = set(conn.execute(_KNOWN).fetchall())
    sizes = {(feed, size) for feed, size, _ in known}
    for path, relative in sorted(_archived(folder), key=lambda found: (found[1], -_number(found[0]))):
        shown, feed = path.relative_to(folder).as_posix(), relative.parts[0]
        try:
            size = path.stat().st_size
            if (feed, size) in sizes and (feed, size, sha256_of(path)) in known:
                continue
            target = landing / relative
            if target.exists():
                result.left.append(f"{shown}: {relative.as_posix()} is there")
                continue
            make_folder(target.parent)
            path.rename(target)
            result.moved.append(relative.as_posix())
        except OSError as error:
            result.left.append(f"{shown}: {error.strerror}")
    return result


def _archived(folder: Path) -> list[tuple[Path, Path]]:
    """Files of the archive, each with the path below the landing folder under which it was delivered."""
    files = [path for path in folder.glob("*/**/*") if path.is_file() and not path.name.startswith(".")]
    return [
        (path, path.relative_to(folder).with_name(found[1] if (found := _NUMBERED.fullmatch(path.name)) else path.name))
        for path in files
    ]


def _number(path: Path) -> int:
    found = _NUMBERED.fullmatch(path.name)
    return int(found[2]) if found else 1


def delete_old(conninfo: str, contract: Contract, landing: Path) -> list[str]:
    """Delete archived files of a feed that were loaded longer ago than the contract keeps them.

    A file stays while a record of it waits in quarantine, and where the ledger has another content than it. What they
    brought stays in raw.

    Returns:
        Their paths below the archive folder.
    """
    folder = landing / ARCHIVE_FOLDER
    if contract.archive_days is None or not (folder / contract.feed).is_dir():
        return []
    with connect(conninfo, contract) as conn:
        over = set(conn.execute(_OVER, [contract.feed, contract.archive_days]).fetchall())
    sizes = {size for size, _ in over}
    deleted = []
    for path in sorted((folder / contract.feed).rglob("*")):
        if path.is_file() and path.stat().st_size in sizes and (path.stat().st_size, sha256_of(path)) in over:
            path.unlink()
            deleted.append(path.relative_to(folder).as_posix())
    return deleted
