"""Files that others read while they are written anew: they have the old content or the new one, never half."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def part_of(path: Path) -> Path:
    """Where this process makes what then becomes the path: beside it, hidden, of the same kind, and nobody else's."""
    return path.with_name(f".{os.getpid()}.{path.name}")


def write_whole(path: Path, content: bytes, *, mode: int = 0o666, own: Callable[[Path], object] | None = None) -> Path:
    """Write a file whole or not at all; returns its path.

    Args:
        path: the file; its folder is there.
        content: what it is to hold.
        mode: its rights, as far as the umask leaves them.
        own: called with the new file before it takes the place of the old one.

    Raises:
        OSError: it cannot be written; the old one stays.
    """
    part = part_of(path)
    part.unlink(missing_ok=True)  # of a process of the same number that was killed
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        if own:
            own(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
