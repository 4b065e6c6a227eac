"""Write the files that are loaded, all of the shape of the feed sessions.

Target: one folder, a file for each name in ``FileSet``. A file is written when a way first asks for it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CHANNELS = (
    *("PAID SEARCH", "IMPRESSION", "ORGANIC SEARCH", "DIRECT", "PAID SOCIAL"),
    *("SOCIAL", "REFERRAL", "EMAIL", "AFFILIATE"),
)
CHUNK_ROWS = 1_000_000
SMALL_ROWS = 1_000_000
BAD_EVERY = 100
FIRST_BAD = 50
READ_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class FileSet:
    """The benchmark's files below ``folder``; ``rows`` is the records of the large one."""

    folder: Path
    rows: int

    @property
    def small_rows(self) -> int:
        """Records of the small file, for ways too slow for the large one."""
        return min(self.rows, SMALL_ROWS)

    @property
    def bad_rows(self) -> int:
        """Records of the bad file that no typed table takes."""
        return (self.rows - FIRST_BAD + BAD_EVERY - 1) // BAD_EVERY

    def plain(self) -> Path:
        """The file that the ways are compared on."""
        path = self.folder / "plain.csv"
        if not path.exists():
            write_sessions(path, self.rows)
        return path

    def small(self) -> Path:
        """Fewer records of the same shape."""
        path = self.folder / "small.csv"
        if not path.exists():
            write_sessions(path, self.small_rows)
        return path

    def changed(self) -> Path:
        """The plain file and one record more."""
        path = self.folder / "changed.csv"
        if not path.exists():
            shutil.copyfile(self.plain(), path)
            with path.open("a", encoding="utf-8") as file:
                file.write("1000000000000000000,2024-03-30 23:59:59,true,DIRECT\n")
        return path

    def bad(self) -> Path:
        """The plain file with one record in a hundred made bad, evenly over the file."""
        path = self.folder / "bad.csv"
        if not path.exists():
            write_bad(self.plain(), path)
        return path

    def halves(self) -> tuple[Path, Path]:
        """The plain file cut at a record; the second half has no header."""
        paths = (self.folder / "half-1.csv", self.folder / "half-2.csv")
        if not paths[1].exists():
            with self.plain().open("rb") as source:
                source.seek(self.plain().stat().st_size // 2)
                source.readline()
                middle = source.tell()
                with paths[1].open("wb") as target:
                    shutil.copyfileobj(source, target, READ_BYTES)
            shutil.copyfile(self.plain(), paths[0])
            with paths[0].open("r+b") as target:
                target.truncate(middle)
        return paths


def write_sessions(path: Path, rows: int) -> None:
    """Write a sessions file of the published case's shape: about 56 bytes a row, 90 days, in order of time."""
    random = np.random.default_rng(1)
    users = random.integers(10**18, 9 * 10**18, size=max(rows // 10, 1)).astype("U19")
    with path.open("w", encoding="utf-8") as file:
        file.write("userid,time_started,is_paid,medium\n")
        for first in range(0, rows, CHUNK_ROWS):
            count = min(CHUNK_ROWS, rows - first)
            seconds = (np.arange(first, first + count) * (90 * 86_400 / rows)).astype("int64")
            times = np.char.replace((np.datetime64("2024-01-01", "s") + seconds).astype("U19"), "T", " ")
            paid = np.where(random.random(count) < 0.4, "true", "false")
            medium = np.array(CHANNELS)[random.integers(0, len(CHANNELS), count)]
            columns = (users[random.integers(0, len(users), count)], times, paid, medium)
            file.writelines(map("{},{},{},{}\n".format, *(column.tolist() for column in columns)))


def write_bad(source: Path, target: Path) -> None:
    """Copy a sessions file, one record in ``BAD_EVERY`` with one of four faults, in turn."""
    with source.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as file:
        file.write(next(lines))
        for number, line in enumerate(lines):
            if number % BAD_EVERY != FIRST_BAD:
                file.write(line)
                continue
            user, time, paid, medium = line.rstrip("\n").split(",")
            faults = (
                f"{user},2024-13-45 00:00:00,{paid},{medium}\n",  # no such day
                f"{user},{time},{paid}\n",  # a column is missing
                f"user {user},{time},{paid},{medium}\n",  # text in a bigint
                f"{user},{time},,{medium}\n",  # a required value is empty
            )
            file.write(faults[number // BAD_EVERY % len(faults)])


def read_through(path: Path) -> None:
    """Read a file once, so that no way finds it less in the system's cache than another."""
    with path.open("rb", buffering=0) as file:
        while file.read(READ_BYTES):
            pass
