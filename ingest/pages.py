"""What a Parquet file comes to in memory, by the headers of its pages: a few bytes of it may stand for gigabytes.

A page is decompressed whole. A value of a dictionary, or one that shares its beginning with the value before it, takes
up all of its length wherever it stands. The sizes in the footer tell of neither, and are what the sender says they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ingest.errors import FileRefused

PAGE_BYTES = 256 << 20  # of the pages of all columns that must be held at once
DECODED_BYTES = 64 << 20  # of the values that are made of them at once

_HEADER_BYTES = (1 << 8, 1 << 12, 1 << 16, 1 << 20, 1 << 24)  # what is tried; no reader takes a longer one
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
# Where the page's own header stands in PageHeader, and the encoding in it; how many values is always the first field.
_INNER = {_DATA: (5, 2), _DICTIONARY: (7, 2), _DATA_V2: (8, 4)}
_BY_DICTIONARY, _BY_PREFIX = (2, 8), 7  # encodings
_POINTER_BYTES = 16  # that a reader keeps of each value of a dictionary
_STRUCT, _NESTED_AT_MOST = 12, 8

Longest = Callable[[int, int], int | None]


@dataclass(frozen=True, slots=True)
class _Page:
    kind: int
    encoding: int
    value_count: int
    byte_count: int


@dataclass(frozen=True, slots=True)
class _Chunk:
    """One column of a row group: its dictionary, if it has one, and its other pages."""

    dictionary: _Page | None
    pages: list[_Page]

    @property
    def held_bytes(self) -> int:
        words = self.dictionary
        most = max((page.byte_count for page in self.pages), default=0)
        return most + (words.byte_count + _POINTER_BYTES * words.value_count if words else 0)

    @property
    def begins_with_dictionary(self) -> bool:
        return bool(self.dictionary and self.pages and self.pages[0].encoding in _BY_DICTIONARY)

    def window_bytes(self, row_count: int) -> int:
        """Most bytes of pages that so many rows can lie in."""
        ends = np.cumsum([page.value_count for page in self.pages])
        totals = np.concatenate([[0], np.cumsum([page.byte_count for page in self.pages])])
        # from the last row of each page on
        last = np.searchsorted(ends, ends - 1 + row_count, "left").clip(max=len(ends) - 1)
        return int((totals[last + 1] - totals[:-1]).max(initial=0))


def rows_at_once(
    file: int, metadata: pq.FileMetaData, group: int, leaves: list[int], wish: int, longest: Longest
) -> int:
    """How many rows of a row group may be read at once, at most ``wish``.

    Args:
        file: descriptor.
        metadata: of the file.
        group: number of the row group.
        leaves: numbers of the columns that are read, none of them nested.
        wish: what the footer lets one think.
        longest: most bytes of a value in the dictionary of a column, given how many values it has; None: not known.

    Raises:
        FileRefused: its pages are too large, or not what the format has.
    """
    chunks = {leaf: _chunk(file, metadata, group, leaf) for leaf in leaves}
    held = sum(chunk.held_bytes for chunk in chunks.values())
    if held > PAGE_BYTES:
        raise FileRefused(
            f"row group {group + 1} takes {held >> 20:,} MiB of memory at once, for its pages are that large unpacked"
            f" (at most {PAGE_BYTES >> 20} MiB): write it with smaller pages or row groups"
        )
    value_bytes, texts = 0, []
    for leaf, chunk in chunks.items():
        column = metadata.schema.column(leaf)
        if column.physical_type == "FIXED_LEN_BYTE_ARRAY":
            value_bytes += column.length
        elif column.physical_type == "BYTE_ARRAY":
            texts.append(chunk)
            value_bytes += max(
                (page.byte_count for page in chunk.pages if page.encoding == _BY_PREFIX),
                default=0,
            )
            if (words := chunk.dictionary) is not None:
                known = None
                if words.byte_count * wish > DECODED_BYTES and chunk.begins_with_dictionary:
                    known = longest(leaf, words.value_count)
                value_bytes += words.byte_count if known is None else known
    # What one row may take cannot be avoided.
    limit = max(DECODED_BYTES, value_bytes + sum(chunk.window_bytes(1) for chunk in texts))
    while wish > 1 and wish * value_bytes + sum(chunk.window_bytes(wish) for chunk in texts) > limit:
        wish //= 2
    return wish


def _chunk(file: int, metadata: pq.FileMetaData, group: int, leaf: int) -> _Chunk:
    dictionary, pages = None, []
    row_group = metadata.row_group(group)
    if leaf >= row_group.num_columns:
        raise _damaged("a row group lacks columns")
    for page in _pages(file, row_group.column(leaf)):
        if page.kind != _DICTIONARY:
            pages.append(page)
        elif dictionary or pages:
            raise _damaged("a dictionary does not stand before its values")
        else:
            dictionary = page
    return _Chunk(dictionary, pages)


def _pages(file: int, chunk: pq.ColumnChunkMetaData) -> Iterator[_Page]:
    """The pages of a column in a row group, as far as a reader reads them."""
    at, seen, size = chunk.data_page_offset, 0, os.fstat(file).st_size
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < at:
        at = chunk.dictionary_page_offset
    while seen < chunk.num_values:
        header, header_bytes = _header(file, at)
        kind, packed_bytes = header.get(1), header.get(3, -1)
        at += header_bytes + packed_bytes
        if packed_bytes < 0 or header.get(2, -1) < 0 or at > size:
            raise _damaged("a page ends behind the file")
        if kind not in _INNER:
            continue
        place, encoding_place = _INNER[kind]
        inner = header.get(place, {})
        page = _Page(kind, inner.get(encoding_place, -1), inner.get(1, -1), max(header[2], packed_bytes))
        if page.value_count < 0 or page.encoding < 0:
            raise _damaged("a page does not say what it holds")
        if kind != _DICTIONARY:
            seen += page.value_count
        yield page


def _header(file: int, at: int) -> tuple[dict[int, Any], int]:
    for size in _HEADER_BYTES:
        block = os.pread(file, size, at) if at > 0 else b""
        try:
            return _Thrift(block).fields()
        except IndexError:
            if len(block) < size:
                break
    raise _damaged("where a page should begin, none does")


def _damaged(what: str) -> FileRefused:
    return FileRefused(f"cannot be read as Parquet: {what}")


class _Thrift:
    """A structure of Thrift's compact protocol, as far as numbers and structures in it go; the rest is passed over."""

    def __init__(self, block: bytes) -> None:
        self._block, self._at = block, 0

    def fields(self) -> tuple[dict[int, Any], int]:
        """The structure's fields by their numbers, and how many bytes it has.

        Raises:
            IndexError: there is more of it, or it is none.
        """
        return self._structure(0), self._at

    def _structure(self, depth: int) -> dict[int, Any]:
        found: dict[int, Any] = {}
        number = 0
        while kind := self._byte():
            number = number + (kind >> 4) if kind >> 4 else self._number()
            found[number] = self._value(kind & 15, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2):  # true and false, which stand in the kind itself
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._number()
        if kind in (7, 8):
            byte_count = 8 if kind == 7 else self._varint()
            self._at += byte_count
            return None
        if kind == _STRUCT and depth < _NESTED_AT_MOST:
            return self._structure(depth + 1)
        raise _damaged("the header of a page has what none has")

    def _byte(self) -> int:
        self._at += 1
        return self._block[self._at - 1]

    def _varint(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128 or shift > 63:
                return value

    def _number(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
