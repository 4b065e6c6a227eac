"""Files that others read while they are made anew: they have the old content or the new one, never half.

What is under way lies beside its place, hidden, under a name that no two processes share.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PARTS = f".part-{8 * '[0-9a-f]'}.*"
ABANDONED_SECONDS = 3600  # since something last wrote to it; longer than anything that is made here takes


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give where to make a file or folder of the same kind; it takes the path at the end, or is gone on an error.

    Raises:
        OSError: it cannot take the path, such as that of a folder with content.
    """
    part = path.with_name(f".part-{secrets.token_hex(4)}.{path.name}")
    try:
        yield part
        part.replace(path)
    finally:
        _remove(part)


def forget_parts(folder: Path) -> None:
    """Delete what processes that were killed left under way in a folder."""
    for part in folder.glob(PARTS):
        with suppress(FileNotFoundError):  # done meanwhile
            if time.time() - part.lstat().st_mtime > ABANDONED_SECONDS:
                _remove(part)


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
    with replacing(path) as part:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        if own:
            own(part)
    return path


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
