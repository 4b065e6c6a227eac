"""Small files of the home folder: a lock, JSON state, a log that does not grow for ever."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embedded.errors import EmbeddedError
from growth.files import write_whole

LOCK_POLL_SECONDS = 0.05
LOG_LIMIT_BYTES = 20 * 1024 * 1024


@contextmanager
def locked(
    path: Path, timeout_seconds: float = 180.0, busy: str = "", tell: Callable[[], None] | None = None
) -> Iterator[int]:
    """Hold an exclusive lock on a file; the kernel frees it when the process ends, however it ends.

    Gives the descriptor: a child that inherits it holds the lock too.

    Args:
        path: the lock file, made if absent.
        timeout_seconds: how long to wait for another process.
        busy: what to say when the wait is over.
        tell: called once, where there is something to wait for.

    Raises:
        EmbeddedError: another process held the lock all the time, or the file cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise EmbeddedError(f"cannot write {path}: {error.strerror}") from error
    try:
        own_like_parent(path)
        end = time.monotonic() + timeout_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise EmbeddedError(busy or f"another process holds {path}") from None
                if tell:
                    tell()
                    tell = None
                time.sleep(LOCK_POLL_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where the file is absent or was cut off.

    Raises:
        EmbeddedError: the file belongs to another user.
    """
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    except PermissionError as error:
        raise EmbeddedError(
            f"{path} belongs to another user: run as that user, or choose another GROWTH_HOME"
        ) from error
    return content if isinstance(content, dict) else {}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write an object to a JSON file that only its owner reads; the file is the old one or the new one, never half.

    Raises:
        EmbeddedError: the folder cannot be written.
    """
    try:
        write_whole(path, f"{json.dumps(content, indent=2)}\n".encode(), mode=0o600, own=own_like_parent)
    except OSError as error:
        raise EmbeddedError(f"cannot write {path}: {error.strerror}") from error


def make_folder(path: Path, mode: int = 0o755) -> Path:
    """Make a folder and those above it; root gives a new one to the owner of the folder above.

    Raises:
        EmbeddedError: it cannot be made.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        for folder in reversed(missing):
            folder.mkdir(mode=mode, exist_ok=True)
            own_like_parent(folder)
    except OSError as error:
        raise EmbeddedError(f"cannot make {path}: {error.strerror}") from error
    return path


def open_log(path: Path) -> int:
    """Open a log file for appending, the old one set aside once it is large; returns the descriptor.

    Raises:
        EmbeddedError: it cannot be written.
    """
    make_folder(path.parent)
    try:
        if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
            path.replace(path.with_name(f"{path.name}.1"))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        own_like_parent(path)
    except OSError as error:
        raise EmbeddedError(f"cannot write {path}: {error.strerror}") from error
    return descriptor


def own_like_parent(path: Path) -> None:
    """As root in another user's folder, leave nothing behind that this user could not change."""
    if os.geteuid() == 0:
        parent = path.parent.stat()
        os.chown(path, parent.st_uid, parent.st_gid)
