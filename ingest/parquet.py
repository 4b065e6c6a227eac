"""Parquet files as CSV text, in batches that keep memory flat whatever the size of the file.

Null is an empty field, an empty text is quoted. Times are written in full; what a type cannot be written as without
loss refuses the file.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import struct
import urllib.parse
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from ingest.contract import Column, Contract, CsvFormat, header_key
from ingest.errors import FileRefused
from ingest.pages import rows_at_once
from ingest.records import MAX_RECORD_BYTES
from ingest.source import BLOCK_BYTES, ChunkedSource, OnRead

BATCH_ROWS = 4096
BATCH_BYTES = 4 << 20  # as the file says that it holds them, which may be half of what they become
_PIECE_BYTES = 4 * BATCH_BYTES
_BUFFER_BYTES = 1 << 16  # of each column; without it a column's whole share of a row group is read at once

_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
# Columns whose numbers are written as a person would: without exponent, and without decimals where those are zero.
_SPELLED_OUT = ("bigint", "integer", "text")
# Bits of a whole number that each width of floating point holds; beyond, neighbours look the same.
_EXACT_BITS = {16: 11, 32: 24, 64: 53}

# The default one keeps tens of megabytes that it no longer needs, and is no quicker here.
pa.set_memory_pool(pa.system_memory_pool())

Convert = Callable[[pa.Array], pa.Array]


class ParquetSource(ChunkedSource):
    """A Parquet file; its progress is that of its rows.

    Columns of the path's Hive partitions (``event_date=2024-01-01/``) are added where the contract has such a column
    and the file has not.
    """

    line_end = b"\n"

    def __init__(self, path: Path, contract: Contract, on_read: OnRead) -> None:
        super().__init__(path, CsvFormat(), on_read)
        self._columns = {header_key(name): column for column in contract.columns for name in _names(column)}

    def sha256(self) -> str:
        """Sha256 of the whole file, which is read once more for it."""
        whole, offset = hashlib.sha256(), 0
        while block := os.pread(self._file.fileno(), BLOCK_BYTES, offset):
            whole.update(block)
            offset += len(block)
            self._on_read(self.read_bytes, self.size_bytes)
        return whole.hexdigest()

    def _make_chunks(self) -> Iterator[bytes]:
        try:
            yield from self._rendered()
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # the disk failed, not the file
                raise
            raise FileRefused(f"cannot be read as Parquet: {' '.join(str(error).split())}") from error

    def _rendered(self) -> Iterator[bytes]:
        # The oldest type for times would wrap around in nanoseconds; who writes it has microseconds.
        file = pq.ParquetFile(
            pa.PythonFile(self._file, mode="r"),
            buffer_size=_BUFFER_BYTES,
            pre_buffer=False,  # or all that was read stays in memory until the end
            coerce_int96_timestamp_unit="us",
            page_checksum_verification=True,
        )
        schema, metadata = file.schema_arrow, file.metadata
        if not schema.names:
            raise FileRefused("the Parquet file has no columns")
        fields = [(field.name, self._converter(field)) for field in schema]
        known = {column.name for name in schema.names if (column := self._columns.get(header_key(name)))}
        partitions = {name: value for name, value in self._partitions().items() if name not in known}
        yield _header([*schema.names, *partitions])
        # A column that cannot be written is not read either.
        read = None if all(convert for _, convert in fields) else [name for name, convert in fields if convert]
        done = 0
        for batch in self._batches(file, read):
            arrays, given = [], iter(batch.columns)
            for name, convert in fields:
                try:
                    arrays.append(convert(next(given)) if convert else pa.nulls(len(batch)))
                except pa.ArrowInvalid as error:
                    raise FileRefused(f"column {name!r}: {' '.join(str(error).split())}") from error
                _check_lengths(name, arrays[-1], done)
            arrays += [_repeated(value, len(batch)) for value in partitions.values()]
            yield from _pieces(arrays)
            done += len(batch)
            self.read_bytes = self.size_bytes * done // max(metadata.num_rows, done)
            self._on_read(self.read_bytes, self.size_bytes)
        if done != metadata.num_rows:
            raise FileRefused(f"cannot be read as Parquet: it says {metadata.num_rows} rows, and has {done}")
        self.read_bytes = self.size_bytes

    def _batches(self, file: pq.ParquetFile, read: list[str] | None) -> Iterator[pa.RecordBatch]:
        """Rows of the columns named, None for all, so many at a time as memory allows whatever is in them."""
        metadata, descriptor = file.metadata, self._file.fileno()
        leaves = [place for place in range(metadata.num_columns) if _is_read(metadata.schema.column(place).path, read)]
        for group in range(metadata.num_row_groups):
            longest = partial(self._longest_word, metadata, group)
            count = rows_at_once(descriptor, metadata, group, leaves, _batch_rows(metadata.row_group(group)), longest)
            yield from file.iter_batches(count, row_groups=[group], columns=read, use_threads=False)

    def _longest_word(self, metadata: pq.FileMetaData, group: int, leaf: int, count: int) -> int | None:
        """Most bytes of a text in the dictionary of a column, which its first row brings along."""
        path = metadata.schema.column(leaf).path
        file = pq.ParquetFile(
            pa.PythonFile(self._file, mode="r"),
            metadata=metadata,
            read_dictionary=[path],
            buffer_size=_BUFFER_BYTES,
            pre_buffer=False,
        )
        batch = next(file.iter_batches(1, row_groups=[group], columns=[path], use_threads=False), None)
        column = None if batch is None else batch.column(0)
        if column is None or not pa.types.is_dictionary(column.type) or len(column.dictionary) != count:
            return None
        longest: int | None = pc.max(pc.binary_length(column.dictionary)).as_py()
        return longest

    def _converter(self, field: pa.Field) -> Convert | None:
        """How a column's values become what the CSV writer writes well; None: the column is left empty.

        Raises:
            FileRefused: the contract has the column, and its type has no text.
        """
        column = self._columns.get(header_key(field.name))
        convert = _converter(field.type, column)
        if convert is None and column is not None:
            raise FileRefused(
                f"column {field.name!r} is of type {field.type}, which is no single value: deliver it as text"
            )
        return convert

    def _partitions(self) -> dict[str, str | None]:
        """Columns that the folders of the path give, by the contract's names."""
        found: dict[str, str | None] = {}
        for folder in self.path.parent.parts:
            key, equals, value = folder.partition("=")
            column = self._columns.get(header_key(urllib.parse.unquote(key))) if equals else None
            if column is not None:
                found[column.name] = None if value == _HIVE_NULL else urllib.parse.unquote(value)
        return found


def _converter(kind: pa.DataType, column: Column | None) -> Convert | None:
    if pa.types.is_dictionary(kind):
        return _after(pa.DictionaryArray.dictionary_decode, _converter(kind.value_type, column))
    if isinstance(kind, pa.UuidType):
        return lambda array: pa.array([None if value is None else str(value) for value in array.to_pylist()], "string")
    if isinstance(kind, pa.BaseExtensionType):
        return _after(lambda array: array.storage, _converter(kind.storage_type, column))
    if pa.types.is_timestamp(kind):
        return _timestamps(kind)
    if column is not None and column.type in _SPELLED_OUT:
        if pa.types.is_floating(kind):
            limit, is_text = 2 ** _EXACT_BITS[kind.bit_width], column.type == "text"
            return lambda array: _spelled_out(array, limit, is_text=is_text)
        if pa.types.is_decimal(kind):
            return _spelled_out
    if pa.types.is_string_view(kind):
        return lambda array: array.cast(pa.large_string())
    plain = (
        pa.types.is_boolean,
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_decimal,
        pa.types.is_date,
        pa.types.is_time,
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_null,
    )
    return (lambda array: array) if any(is_kind(kind) for is_kind in plain) else None


def _after(first: Convert, second: Convert | None) -> Convert | None:
    return None if second is None else lambda array: second(first(array))


def _timestamps(kind: pa.TimestampType) -> Convert:
    """To microseconds at most, refused where that loses anything; a time with a zone is written in UTC."""
    naive = pa.timestamp("us" if kind.unit == "ns" else kind.unit)
    if kind.tz is None:
        return lambda array: array.cast(naive)
    # The CSV writer writes a zone too, at a tenth of the speed.
    zone, nothing = _text("Z"), _text("")
    return lambda array: pc.binary_join_element_wise(array.cast(naive).cast(pa.string()), zone, nothing)


def _repeated(value: str | None, count: int) -> pa.Array:
    return pa.nulls(count, pa.string()) if value is None else pa.repeat(_text(value), count)


def _text(value: str) -> pa.StringScalar:
    """A text as pyarrow's own; made from bytes, because ``pa.scalar`` imports pandas where it finds it: 20 MiB."""
    content = value.encode()
    offsets = struct.pack("=2i", 0, len(content))
    return pa.StringArray.from_buffers(1, pa.py_buffer(offsets), pa.py_buffer(content))[0]


def _spelled_out(array: pa.Array, limit: int | None = None, *, is_text: bool = False) -> pa.Array:
    """Integers with nulls often come as floats or decimals: 1e+15 and 7.00 are no integers to the warehouse, 7 is.

    Args:
        array: floats or decimals.
        limit: from which magnitude on whole numbers may not be those that the sender had. Such a one stays a float,
            which the server refuses in a column of integers.
        is_text: the server would take it.

    Raises:
        pa.ArrowInvalid: there is one beyond the limit, for a text.
    """
    try:
        whole = array.cast(pa.int64())
    except pa.ArrowInvalid:
        pass
    else:
        # not by abs(): the lowest integer has none
        ends = pc.min_max(whole).as_py()
        if ends["min"] is None or limit is None or -limit < ends["min"] <= ends["max"] < limit:
            return whole
    texts: list[str | None] = []
    for value, text in zip(array.to_pylist(), array.cast(pa.string()).to_pylist(), strict=True):
        if value is None or not math.isfinite(value):
            texts.append(text)
        elif value != int(value):
            texts.append(f"{Decimal(text):f}")
        elif limit is not None and abs(value) >= limit:
            if is_text:
                raise _inexact(array)
            texts.append(repr(value))
        else:
            texts.append(str(int(value)))
    return pa.array(texts, "string")


def _inexact(array: pa.Array) -> pa.ArrowInvalid:
    """What to raise; it shows no value, which may be somebody's id."""
    bits = _EXACT_BITS[array.type.bit_width]
    return pa.ArrowInvalid(
        f"has whole numbers of 2^{bits} or more as {array.type}, which may have rounded them: deliver them as"
        " integers, decimals or text"
    )


def _header(names: list[str]) -> bytes:
    quoted = ['"' + name.replace('"', '""') + '"' if re.search(r'[",\r\n]|^$', name) else name for name in names]
    return ",".join(quoted).encode() + b"\n"


def _check_lengths(name: str, array: pa.Array, rows_before: int) -> None:
    """Refuse a text that no record can hold before it is written.

    Raises:
        FileRefused: there is one.
    """
    if not _is_text(array.type) or array.nbytes <= MAX_RECORD_BYTES:
        return
    lengths = pc.binary_length(array)
    longest = pc.max(lengths).as_py() or 0
    if longest > MAX_RECORD_BYTES:
        row = rows_before + 1 + pc.index(lengths, longest).as_py()
        raise FileRefused(
            f"column {name!r}, row {row:,}: a value of {longest:,} bytes, a record may have"
            f" {MAX_RECORD_BYTES >> 20} MiB; shorten it, or leave it out"
        )


def _pieces(arrays: list[pa.Array]) -> Iterator[bytes]:
    """CSV text of columns, in parts that are not much larger than ordinary ones."""
    count = len(arrays[0])
    if count > 1 and sum(array.nbytes for array in arrays) > _PIECE_BYTES:
        yield from _pieces([array.slice(0, count // 2) for array in arrays])
        yield from _pieces([array.slice(count // 2) for array in arrays])
    else:
        yield _rows(arrays)


def _rows(arrays: list[pa.Array]) -> bytes:
    """CSV text of columns; quotes are left out where no value needs them, for what reads the text is quicker then."""
    table = pa.Table.from_arrays(arrays, names=[str(place) for place in range(len(arrays))])
    styles = ("needed",) if _needs_quotes(table) else ("none", "needed")
    for style in styles:
        sink = pa.BufferOutputStream()
        try:
            pa.csv.write_csv(table, sink, pa.csv.WriteOptions(include_header=False, quoting_style=style))
            break
        except pa.ArrowInvalid:  # a value holds a delimiter, a quote or a line end
            if style == styles[-1]:
                raise
    text: bytes = sink.getvalue().to_pybytes()
    return text


def _needs_quotes(table: pa.Table) -> bool:
    r"""Whether a text is empty, which is not null, or may stand alone on its line, where ``\.`` would end the data."""
    texts = [column for column in table.columns if _is_text(column.type)]
    return bool(texts) and (
        table.num_columns == 1 or any(pc.min(pc.binary_length(column)).as_py() == 0 for column in texts)
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _batch_rows(group: pq.RowGroupMetaData) -> int:
    row_bytes = group.total_byte_size / max(group.num_rows, 1)
    return max(1, min(BATCH_ROWS, int(BATCH_BYTES / max(row_bytes, 1))))


def _is_read(path: str, read: list[str] | None) -> bool:
    return read is None or any(path == name or path.startswith(f"{name}.") for name in read)


def _names(column: Column) -> tuple[str, ...]:
    return (column.name, *column.aliases)
