"""Move loaded files out of the way, for feeds whose contract says so."""

from __future__ import annotations

from pathlib import Path

from ingest.landing import ARCHIVE_FOLDER, Delivery


def archive(delivery: Delivery, landing: Path) -> Path:
    """Move a loaded file to the same path below the archive folder of the landing folder.

    A file that another content left there is kept: the newer one gets a number.

    Returns:
        Where it is now.
    """
    target = landing.resolve() / ARCHIVE_FOLDER / delivery.path.relative_to(landing.resolve())
    target.parent.mkdir(parents=True, exist_ok=True)
    free, number = target, 1
    while free.exists():
        number += 1
        free = target.with_name(f"{target.name}.{number}")
    return delivery.path.rename(free)
