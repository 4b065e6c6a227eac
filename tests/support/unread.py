"""Which files a block opens, and files old enough for the ledger to remember what they look like."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.source import SETTLED_NS

_watching: list[list[str]] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        for opened in _watching:
            opened.append(str(arguments[0]))


sys.addaudithook(_note)  # for good: there is no way to take one away


@contextmanager
def opened_below(folder: Path) -> Iterator[list[str]]:
    """The names of the files below a folder that this process opens in the block, in that order, filled at its end."""
    seen: list[str] = []
    found: list[str] = []
    _watching.append(seen)
    try:
        yield found
    finally:
        _watching.remove(seen)
        found += [Path(path).name for path in seen if path.startswith(f"{folder}/")]


def settle(folder: Path) -> None:
    """Wait until no file below the folder is so new that it would be read again to be sure."""
    newest = max(path.stat().st_ctime_ns for path in folder.rglob("*") if path.is_file())
    time.sleep(max(newest + SETTLED_NS - time.time_ns(), 0) / 1e9 + 0.01)
