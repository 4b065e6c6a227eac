"""CSV files written in blocks of rows, as fast as numpy copies bytes, and visible only when they are whole.

A block is one matrix of bytes: each field is a slice of columns filled from a table of ready texts. Texts shorter than
their column are padded with zero bytes, which no text contains, and all padding goes out in one step at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from growth.files import forget_parts, replacing
from sample_data.draws import Int64s

Bytes = NDArray[np.uint8]

SECOND = 1_000_000  # all times are integer microseconds since the first midnight of the sample
HOUR = 3600 * SECOND
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One finished file; ``row_count`` is data rows, without the header."""

    path: Path
    feed: str
    row_count: int


def text_table(texts: Sequence[str]) -> Bytes:
    """One row of bytes per text, padded with zero bytes to the longest."""
    table = np.array([text.encode() for text in texts])
    return table.view(np.uint8).reshape(len(texts), -1)


def digit_table(numbers: Int64s, width: int) -> Bytes:
    """One row of ASCII digits per number, zero-padded to ``width`` digits."""
    table = np.empty((len(numbers), width), dtype=np.uint8)
    rest = numbers.copy()
    for column in range(width - 1, -1, -1):
        rest, digit = np.divmod(rest, 10)
        table[:, column] = digit + ord("0")
    return table


def repeated(text: str, count: int) -> Bytes:
    """The same one character for each of ``count`` rows."""
    return np.broadcast_to(np.uint8(ord(text)), (count, 1))


class TimeTexts:
    """Texts of instants, such as ``2024-01-05 13:45:12.345678+00``, from ``start`` on for ``days`` days."""

    def __init__(self, start: date, days: int) -> None:
        """Prepare a text for every day, every second of a day and every three digits of microseconds."""
        self._days = text_table([f"{start + timedelta(days=day)} " for day in range(days)])
        seconds = range(86_400)
        self._seconds = text_table([f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}." for s in seconds])
        self._thousands = digit_table(np.arange(1000, dtype=np.int64), 3)
        self._offset = text_table(["+00"])

    def parts(self, times: Int64s) -> list[Bytes]:
        """The columns of a block that show these times, in microseconds since midnight of the start."""
        day, within_day = np.divmod(times, DAY)
        second, micros = np.divmod(within_day, SECOND)
        milli, micro = np.divmod(micros, 1000)
        return [
            self._days[day],
            self._seconds[second],
            self._thousands[milli],
            self._thousands[micro],
            np.broadcast_to(self._offset, (len(times), 3)),
        ]


def csv_block(parts: Sequence[Bytes]) -> bytes:
    """Join byte columns side by side and drop the padding."""
    block = np.concatenate(parts, axis=1)
    joined: bytes = block[block != 0].tobytes()
    return joined


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name, replacing a file of that name, only when it is complete.

    Raises:
        OSError: the folder cannot be created or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    forget_parts(path.parent)
    with replacing(path) as part, part.open("xb") as target:
        yield target
