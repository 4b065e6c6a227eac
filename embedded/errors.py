"""The one error of the embedded mode: its text says what happened and what to do."""

from __future__ import annotations

from pathlib import Path


class EmbeddedError(Exception):
    """A server or process of the embedded mode could not do what was asked; the text is for the user."""


def last_lines(path: Path, count: int = 12) -> str:
    """The last lines of a log file, indented; empty where there is no such file.

    Args:
        path: the log file.
        count: how many lines at most.
    """
    try:
        with path.open("rb") as log:
            size = log.seek(0, 2)
            log.seek(max(0, size - 64 * 1024))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(f"  {line}" for line in lines[-count:])
