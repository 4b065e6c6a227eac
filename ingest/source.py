"""Delivered files as UTF-8 CSV text, whatever they are: CSV, gzip or zstd of it, another encoding, Parquet.

Source: one file of the landing folder. What is hashed is the file as it lies there, so that a file is known again.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from ingest.contract import Contract, CsvFormat
from ingest.errors import FileRefused, FileUnfinished
from ingest.landing import state_of

BLOCK_BYTES = 1 << 20
# Two writes within one tick of the file system's clock leave the same times; the coarsest one ticks so.
SETTLED_NS = 2_000_000_000

OnRead = Callable[[int, int], None]
Compression = Literal["gzip", "zstd"]

_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}
# Where the mark that tells the order of bytes is missing, they come as Windows writes them.
_BIG_ENDIAN_MARKS = {"utf-16": codecs.BOM_UTF16_BE, "utf-32": codecs.BOM_UTF32_BE}


def contract_for(contract: Contract, source_file: str) -> Contract:
    """The contract as it holds for a file of that name: how CSV and its times are written is nothing to Parquet."""
    if not source_file.lower().endswith(".parquet"):
        return contract
    columns = tuple(column.model_copy(update={"format": None}) for column in contract.columns)
    return contract.model_copy(update={"csv": CsvFormat(), "columns": columns})


def to_utf8(text: bytes, encoding: str) -> bytes:
    """A file's text, or a part of it as ``Source.original`` gives it, as UTF-8.

    A byte that cannot be decoded becomes a sequence that is never valid UTF-8, and that ``from_utf8`` undoes.

    Raises:
        UnicodeDecodeError: nothing says where the next character begins.
    """
    if _is_utf8(encoding):
        return text
    codec = _codec(encoding, text)
    return _as_utf8(text.decode(codec, _errors(codec))).removeprefix(codecs.BOM_UTF8)


def from_utf8(text: bytes, encoding: str) -> bytes:
    """The text in an encoding again, without a byte order mark; as it is where the encoding has no way to write it."""
    if _is_utf8(encoding):
        return text
    try:
        return text.decode("utf-8", "surrogatepass").encode(_codec(encoding), "surrogateescape")
    except UnicodeError:
        return text


def open_source(delivery_path: Path, contract: Contract, on_read: OnRead = lambda *_: None) -> Source:
    """Open a file of the landing folder; its name says of which kind it is.

    Args:
        delivery_path: the file.
        contract: the feed's contract.
        on_read: called with the bytes of the file read so far and its size, after each block; may raise to stop.
    """
    kind = delivery_path.suffix.lower()
    if kind == ".parquet":
        from ingest.parquet import ParquetSource  # pyarrow takes half a second and 80 MB: only where it is needed

        return ParquetSource(delivery_path, contract, on_read)
    compression = _COMPRESSIONS.get(kind)
    if compression is None and _is_utf8(contract.csv.encoding):
        return Source(delivery_path, contract.csv, on_read)
    return _DecodedSource(delivery_path, contract.csv, on_read, compression)


class Source:
    """A file read once from its start; this class itself reads UTF-8 CSV, whose bytes pass through as they are.

    ``size_bytes`` and ``read_bytes`` are of the file as it lies there, ``csv`` is how the text of ``read_block`` is
    written, ``line_end`` its line end where that is known beforehand.
    """

    line_end: bytes | None = None

    def __init__(self, path: Path, csv: CsvFormat, on_read: OnRead) -> None:
        self.path = path
        self.csv = csv
        self.read_bytes = 0
        self._on_read = on_read
        self._hash = hashlib.sha256()
        self._at_start = True
        self._file = open(path, "rb", buffering=0, opener=_open_at_once)  # noqa: SIM115  (closed by __exit__)
        self._opened_ns = time.time_ns()
        self._stat = os.fstat(self._file.fileno())
        if not stat.S_ISREG(self._stat.st_mode):
            self._file.close()
            raise FileUnfinished("is no regular file")
        self.size_bytes = self._stat.st_size

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read_block(self, size: int = BLOCK_BYTES) -> bytes:
        """The next block of text, full but for the last one; empty at the end. A byte order mark is left out.

        Raises:
            FileRefused: the file cannot be read as what it claims to be.
        """
        if self._at_start:
            self._at_start = False
            block = self._read_text(max(size, len(codecs.BOM_UTF8))).removeprefix(codecs.BOM_UTF8)
            return block or self._read_text(size)
        return self._read_text(size)

    def original(self, record: bytes) -> bytes:
        """The bytes that a part of the text has in the file; for compressed files, before they were compressed."""
        return record

    def sha256(self) -> str:
        """Sha256 of the whole file; what nobody has read yet is read now, and gives no text any more."""
        while self._read_raw(BLOCK_BYTES):
            pass
        return self._hash.hexdigest()

    def state(self) -> str | None:
        """The file's state (``ingest.landing``), asked for when its content is known; None: it does not vouch for it.

        So it is where the file was written to while it was read, or so shortly before that another write may look the
        same.
        """
        if self._opened_ns - self._stat.st_ctime_ns < SETTLED_NS:
            return None
        before, now = state_of(self._stat), state_of(os.fstat(self._file.fileno()))
        return now if now == before else None

    def check_same(self, size_bytes: int, modified_ns: int, identity: tuple[int, int]) -> None:
        """Check that the file is the one that was found in its folder, and as it was then.

        Raises:
            FileUnfinished: its size or its time of change differs; or it is another one, as where a link that leads
                out of the landing folder was put in its place.
        """
        now = (self._stat.st_size, self._stat.st_mtime_ns, (self._stat.st_dev, self._stat.st_ino))
        if now != (size_bytes, modified_ns, identity):
            raise FileUnfinished(
                f"changed after it was found ({size_bytes} bytes then, {self.size_bytes} now): the next load takes it"
            )

    def check_unchanged(self, path: Path | None = None) -> None:
        """Check that its path, or another one that it was moved to, holds the file as it was when it was opened.

        Raises:
            FileUnfinished: size, time of change or identity differ, or the file is gone.
        """
        try:
            now = (path or self.path).stat()
        except FileNotFoundError:
            raise FileUnfinished("went away while it was read") from None
        before = (self._stat.st_size, self._stat.st_mtime_ns, self._stat.st_ino)
        if before != (now.st_size, now.st_mtime_ns, now.st_ino):
            raise FileUnfinished(
                f"changed while it was read ({self.size_bytes} bytes before, {now.st_size} now): the next load takes it"
            )

    def _read_raw(self, size: int) -> bytes:
        block = self._file.read(size) or b""
        if block:
            self._hash.update(block)
            self.read_bytes += len(block)
            self._on_read(self.read_bytes, self.size_bytes)
        return block

    def _read_text(self, size: int) -> bytes:
        return self._read_raw(size)


class ChunkedSource(Source):
    """Base of files whose text is made on the way; a subclass gives it in chunks of any size."""

    def __init__(self, path: Path, csv: CsvFormat, on_read: OnRead) -> None:
        super().__init__(path, csv, on_read)
        self._chunks = self._make_chunks()
        self._rest = memoryview(b"")
        self._failure: BaseException | None = None

    def _make_chunks(self) -> Iterator[bytes]:
        raise NotImplementedError

    def sha256(self) -> str:
        """As of any file."""
        self._chunks, self._rest = iter(()), memoryview(b"")
        return super().sha256()

    def _read_text(self, size: int) -> bytes:
        if self._failure is not None:
            raise self._failure  # the end of the chunks would look like the end of the file
        parts: list[memoryview] = []
        missing = size
        while missing:
            if not self._rest:
                try:
                    chunk = next(self._chunks, None)
                except BaseException as failure:
                    self._failure = failure
                    raise
                if chunk is None:
                    break
                self._rest = memoryview(chunk)
            part, self._rest = self._rest[:missing], self._rest[missing:]
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)


class _DecodedSource(ChunkedSource):
    """CSV that is compressed, or in another encoding, or both."""

    def __init__(self, path: Path, csv: CsvFormat, on_read: OnRead, compression: Compression | None) -> None:
        self._compression = compression
        self._codec = csv.encoding
        self._mark = b""
        super().__init__(path, csv, on_read)

    def original(self, record: bytes) -> bytes:
        """The text in the file's encoding again, what could not be decoded included.

        Where an encoding has several spellings of one character, or none of one that it can read, the bytes may differ
        from the file's. Bytes in the less usual order have their mark before them, so that ``to_utf8`` knows.
        """
        return self._mark + from_utf8(record, self._codec)

    def _make_chunks(self) -> Iterator[bytes]:
        if self._compression is not None:
            blocks = self._decompressed(self._compression)
        else:
            blocks = iter(lambda: self._read_raw(BLOCK_BYTES), b"")
        return blocks if _is_utf8(self.csv.encoding) else self._transcoded(blocks, self.csv.encoding)

    def _decompressed(self, compression: Compression) -> Iterator[bytes]:
        """All members or frames one after the other; pyarrow checks that each is whole, and holds little of it."""
        import pyarrow as pa

        if not self.size_bytes:
            raise FileRefused(f"the file is empty (0 bytes): no {compression} archive")
        try:
            with pa.CompressedInputStream(pa.PythonFile(_Raw(self._read_raw), mode="r"), compression) as stream:
                while block := stream.read(BLOCK_BYTES):
                    yield block
        except OSError as error:
            if error.errno is not None:  # the disk failed, not the archive
                raise
            if "Truncated" in str(error):
                raise FileRefused(f"the {compression} archive is cut short: its end is missing") from error
            raise FileRefused(
                f"the {compression} archive is damaged, or something else follows it: {_one_line(error)}"
            ) from error

    def _transcoded(self, blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
        start = next(blocks, b"")
        self._codec = _codec(encoding, start)
        if self._codec != _codec(encoding):
            self._mark = _BIG_ENDIAN_MARKS[codecs.lookup(encoding).name]
        decoder = codecs.getincrementaldecoder(self._codec)(_errors(self._codec))
        try:
            yield _as_utf8(decoder.decode(start))
            for block in blocks:
                yield _as_utf8(decoder.decode(block))
            yield _as_utf8(decoder.decode(b"", final=True))
        except UnicodeDecodeError as error:
            raise FileRefused(
                f"the text is not {encoding}, which the contract states as its encoding: {error.reason}"
            ) from error


class _Raw:
    """What pyarrow needs of a file that it reads from start to end."""

    closed = False

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read

    def close(self) -> None:
        """The source closes the file."""


def _open_at_once(path: str, flags: int) -> int:
    """Open a file, and do not wait for who writes where it is a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def _codec(encoding: str, start: bytes = b"") -> str:
    """The codec's own name, with the order of bytes where the encoding leaves it to the mark at the start."""
    name = codecs.lookup(encoding).name
    if mark := _BIG_ENDIAN_MARKS.get(name):
        return f"{name}-be" if start.startswith(mark) else f"{name}-le"
    return name


def _errors(codec: str) -> str:
    # Without ASCII in single bytes nothing says where the next character begins.
    return "strict" if codec.startswith(("utf-16", "utf-32")) else "surrogateescape"


def _as_utf8(text: str) -> bytes:
    # The surrogates that stand for bytes stay: bare bytes could by chance be valid UTF-8 together.
    return text.encode("utf-8", "surrogatepass")


def _one_line(error: Any) -> str:
    return " ".join(str(error).split())
