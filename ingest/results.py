"""What a load reports: a result per file, and progress while it is under way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Status = Literal["loaded", "skipped", "refused", "unfinished"]


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What became of one file.

    ``loaded_count`` is the records of the file that are in raw, ``rejected_count`` those in quarantine,
    ``erased_count`` those of erased people, which were left out, ``seconds`` the time it took, ``error`` why it was
    refused or left for the next load, ``added_columns`` what the file has and the contract has not, ``load_id`` its row
    of the ledger.
    """

    feed: str
    source_file: str
    status: Status
    loaded_count: int = 0
    size_bytes: int = 0
    seconds: float = 0.0
    error: str | None = None
    load_id: int | None = None
    rejected_count: int = 0
    erased_count: int = 0
    added_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """How far a file is: bytes of it that were read, of all, and records found in them; seconds since it began."""

    feed: str
    source_file: str
    read_bytes: int
    size_bytes: int
    record_count: int
    seconds: float


ProgressCallback = Callable[[LoadProgress], None]
