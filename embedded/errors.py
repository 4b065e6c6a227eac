"""The one error of the embedded mode: its text says what happened and what to do."""

from __future__ import annotations

from pathlib import Path

from ingest.errors import ExpectedError

LAST_LINES = 12


class EmbeddedError(ExpectedError):
    """A server or process of the embedded mode could not do what was asked; the text is for the user."""


def server_failed(what: str, log: Path) -> EmbeddedError:
    """The error of a server that did not come up, with the end of its log; says where the disk is full."""
    end = last_lines(log)
    if "No space left on device" in end:
        # Postgres itself, when it was stopped by that, says that data may be corrupted
        what = (
            f"The disk of {log.parent} is full. Make room, then repeat the command: nothing that was loaded or "
            f"published is lost (docs/runbooks/disk_full.md).\n{what}"
        )
    return EmbeddedError(f"{what}; the end of {log}:\n{end}")


def last_lines(path: Path) -> str:
    """The last lines of a log file, indented; empty where there is no such file."""
    try:
        with path.open("rb") as log:
            size = log.seek(0, 2)
            log.seek(max(0, size - 64 * 1024))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(f"  {line}" for line in lines[-LAST_LINES:])
