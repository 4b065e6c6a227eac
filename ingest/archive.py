"""Move loaded files out of the way, for feeds whose contract says so, and delete them when their time is over."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ingest.contract import Contract
from ingest.copy import connect
from ingest.errors import FileUnfinished
from ingest.landing import ARCHIVE_FOLDER, Delivery
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
        if path.is_file() and path.stat().st_size in sizes and (path.stat().st_size, _sha256(path)) in over:
            path.unlink()
            deleted.append(path.relative_to(folder).as_posix())
    return deleted


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
