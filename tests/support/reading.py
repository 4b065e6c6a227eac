"""Reading a delivered file to its end, as the loader does, and what that takes of memory."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.contract import Contract
from ingest.errors import FileRefused
from ingest.source import Source, open_source

PEAK = """
import sys
from pathlib import Path
import psutil
import pyarrow.parquet  # before it is counted: how much programs take differs between builds of Python
from ingest.contract_files import load_contracts
from ingest.source import open_source
contract = next(iter(load_contracts(Path(sys.argv[2])).values()))
process, total, peak = psutil.Process(), 0, 0
before = process.memory_info().rss
with open_source(Path(sys.argv[1]), contract) as source:
    while block := source.read_block():
        total += len(block)
        peak = max(peak, process.memory_info().rss)
    source.sha256()
print(total >> 20, (peak - before) >> 20)
"""
FEEDS = Path(__file__).resolve().parents[2] / "ingest" / "feeds"


def make_contract(columns: dict[str, str] | None = None, **csv: object) -> Contract:
    kinds = columns or {"user_id": "bigint", "name": "text"}
    described = [
        {"name": name, "type": kind, "nullable": True, "description": name, "aliases": ["Full Name"] * (name == "name")}
        for name, kind in kinds.items()
    ]
    described.append({"name": "seen_at", "type": "timestamptz", "nullable": False, "description": "When."})
    return Contract.model_validate(
        {
            "feed": "visits",
            "domain": "web",
            "description": "Visits.",
            "event_time": "seen_at",
            "user": next(iter(kinds)),
            "key": [next(iter(kinds))],
            "cadence": "daily",
            "freshness": {"warn_after_days": 1, "error_after_days": 2},
            "csv": csv,
            "columns": described,
        }
    )


def read(path: Path, feed: Contract | None = None, size: int = 1 << 20) -> bytes:
    with open_source(path, feed or make_contract()) as source:
        blocks = read_rest(source, size)
        assert all(len(block) == size for block in blocks[1:-1])
        assert source.read_block(size) == b""
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        assert [source.sha256(), source.sha256()] == [sha256] * 2
        assert source.read_bytes == source.size_bytes == path.stat().st_size
        return b"".join(blocks)


def read_rest(source: Source, size: int = 1 << 20) -> list[bytes]:
    """The blocks that are left."""
    return list(iter(lambda: source.read_block(size), b""))


def refusal(path: Path, feed: Contract | None = None) -> str:
    with open_source(path, feed or make_contract()) as source:
        with pytest.raises(FileRefused) as caught:
            read_rest(source)
        with pytest.raises(FileRefused):  # never the end of the file
            source.read_block()
        assert source.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
    return str(caught.value)


def text_and_peak(path: Path) -> tuple[int, int]:
    """MiB of text in a file, and how many MiB of memory a process of its own took at most to read it."""
    command = [sys.executable, "-c", PEAK, str(path), str(FEEDS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    text, peak = map(int, done.stdout.split())
    return text, peak
