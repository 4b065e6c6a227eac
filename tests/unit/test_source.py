"""Whatever a delivered file is, the loader reads the same UTF-8 CSV text, whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.reading import make_contract, read, read_rest, refusal, text_and_peak

from ingest.contract import CsvFormat
from ingest.errors import FileUnfinished, LoadStopped
from ingest.source import contract_for, from_utf8, open_source, to_utf8

TEXT = 'user_id,name\n1,Zoë\n2,"a\nb"\n3,\n'.encode()


def compress(content: bytes, suffix: str) -> bytes:
    if suffix == ".gz":
        return gzip.compress(content)
    return pa.Codec("zstd").compress(content, asbytes=True)


@pytest.fixture
def landed(tmp_path):
    def land(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return land


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.CSV.ZST"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_text_is_the_same_in_every_kind(landed, name, mark, size):
    suffix = Path(name).suffix.lower()
    content = mark + TEXT
    path = landed(name, content if suffix == ".csv" else compress(content, suffix))
    assert read(path, size=size) == TEXT


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_empty_file_gives_no_text(landed, content):
    assert read(landed("a.csv", content)) == b""
    assert "is empty (0 bytes)" in refusal(landed("a.csv.gz", b""))


def test_only_the_first_mark_is_left_out(landed):
    mark = b"\xef\xbb\xbf"
    assert read(landed("a.csv", mark + mark + TEXT)) == mark + TEXT
    assert read(landed("b.csv", TEXT + mark), size=3) == TEXT + mark


def test_hash_is_of_the_whole_file_however_little_was_read(landed):
    path = landed("a.csv.gz", gzip.compress(TEXT * 1000))
    with open_source(path, make_contract()) as source:
        assert source.read_block(10) == TEXT[:10]
        assert source.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
        assert source.read_block() == b""


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_several_archives_in_one_file_are_read_as_one(landed, suffix):
    content = b"".join(compress(part, suffix) for part in (TEXT, b"", TEXT * 50_000, TEXT))
    assert read(landed("a.csv" + suffix, content)) == TEXT * 50_002


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_archive_cut_anywhere_is_refused(landed, suffix):
    content = compress(random.Random(1).randbytes(3000) + TEXT, suffix)
    for length in [*range(1, 40), *range(40, len(content) - 40, 97), *range(len(content) - 40, len(content))]:
        assert "cut short" in refusal(landed("a.csv" + suffix, content[:length]))
    second = compress(TEXT, suffix)
    assert "cut short" in refusal(landed("b.csv" + suffix, content + second[:-1]))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_what_is_no_archive_or_follows_one_is_refused(landed, suffix):
    assert "damaged" in refusal(landed("a.csv" + suffix, TEXT))
    assert "something else follows" in refusal(landed("b.csv" + suffix, compress(TEXT, suffix) + b"garbage"))


def test_archive_with_a_flipped_bit_is_refused(landed):
    content = bytearray(gzip.compress(b"".join(b"%d,x\n" % number for number in range(10_000))))
    content[len(content) // 2] ^= 1
    refusal(landed("a.csv.gz", bytes(content)))
    content = bytearray(gzip.compress(TEXT))
    content[-6] ^= 1  # the checksum itself
    assert "damaged" in refusal(landed("b.csv.gz", bytes(content)))


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_progress_is_told_and_may_stop_the_load(landed, name):
    if name == "a.parquet":
        path = landed(name, b"")
        pq.write_table(pa.table({"user_id": pa.array(range(100_000))}), path)
    else:
        content = random.Random(1).randbytes(3 << 20)
        path = landed(name, content if name == "a.csv" else gzip.compress(content))
    told: list[tuple[int, int]] = []

    def on_read(done: int, size: int) -> None:
        told.append((done, size))
        if len(told) == 3:
            raise LoadStopped("interrupted")

    with open_source(path, make_contract(), on_read) as source:
        for _ in range(2):
            with pytest.raises(LoadStopped):
                read_rest(source)
            if name == "a.csv":
                break
    size = path.stat().st_size
    assert 0 < told[0][0] < told[1][0] < told[2][0] <= size
    assert {of for _, of in told} == {size}


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_change_while_reading_is_noticed(landed, name):
    path = landed(name, gzip.compress(TEXT))
    with open_source(path, make_contract()) as source:
        source.check_unchanged()
        with path.open("ab") as file:
            file.write(b"x")
        with pytest.raises(FileUnfinished, match="changed while it was read"):
            source.check_unchanged()
    with open_source(path, make_contract()) as source:
        later = source.path.stat().st_mtime_ns + 1_000_000
        os.utime(path, ns=(later, later))
        with pytest.raises(FileUnfinished):
            source.check_unchanged()
    with open_source(path, make_contract()) as source:
        path.unlink()
        with pytest.raises(FileUnfinished, match="went away"):
            source.check_unchanged()


# Encodings


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252", "latin-1", "mac-roman"])
def test_other_encodings_become_utf8(landed, encoding):
    feed = make_contract(encoding=encoding)
    path = landed("a.csv", TEXT.decode().encode(encoding))
    assert read(path, feed) == TEXT
    assert read(path, feed, size=3) == TEXT
    assert read(landed("a.csv.gz", gzip.compress(path.read_bytes())), feed) == TEXT


@pytest.mark.parametrize(("mark", "order"), [(b"\xff\xfe", "le"), (b"\xfe\xff", "be"), (b"", "le")])
def test_mark_of_byte_order_decides(landed, mark, order):
    path = landed("a.csv", mark + TEXT.decode().encode(f"utf-16-{order}"))
    with open_source(path, make_contract(encoding="utf-16")) as source:
        assert source.read_block() == TEXT
        record = source.original("1,Zoë".encode())
    assert record == (mark if order == "be" else b"") + "1,Zoë".encode(f"utf-16-{order}")
    assert to_utf8(record, "utf-16") == "1,Zoë".encode()
    assert from_utf8(to_utf8(record, "utf-16"), "utf-16") == "1,Zoë".encode("utf-16-le")


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("utf-16", "a,b\n".encode("utf-16") + b"\n"),  # half a character
        ("utf-16-le", b"a\0\n\0\x00\xd8a\0"),  # half a pair
        ("utf-32", "a,b\n".encode("utf-32") + b"\xff\xff\xff\xff"),
    ],
)
def test_wide_text_that_cannot_be_decoded_is_refused(landed, encoding, content):
    assert f"the text is not {encoding}" in refusal(landed("a.csv", content), make_contract(encoding=encoding))


@pytest.mark.parametrize(
    ("encoding", "bad"), [("cp1252", b"\x81"), ("ascii", b"\xc3\xa9"), ("shift_jis", b"\x81"), ("big5", b"\xff\xfe")]
)
def test_bytes_that_cannot_be_decoded_are_no_valid_utf8_and_are_given_back(landed, encoding, bad):
    lines = [b"1,good\n", b"2," + bad + b"\n", b"3,good\n"]
    with open_source(landed("a.csv", b"".join(lines)), make_contract(encoding=encoding)) as source:
        found = source.read_block().splitlines(keepends=True)
        assert [found[0], found[2]] == [lines[0], lines[2]]
        with pytest.raises(UnicodeDecodeError):
            found[1].decode()
        assert source.original(found[1]) == lines[1]


@given(content=st.binary(max_size=300), encoding=st.sampled_from(["cp1252", "latin-1", "koi8-r", "cp437", "ascii"]))
@example(content=b"\xc3\xa9", encoding="ascii")
def test_single_byte_encodings_give_back_every_byte(content, encoding):
    text = to_utf8(content, encoding)
    assert from_utf8(text, encoding) == content
    try:
        assert text.decode() == content.decode(encoding)
    except UnicodeDecodeError:
        with pytest.raises(UnicodeDecodeError):
            content.decode(encoding)


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200), size=st.integers(1, 50))
def test_wide_encodings_give_back_every_character(tmp_path_factory, text, size):
    path = tmp_path_factory.mktemp("landing") / "a.csv"
    for encoding in ("utf-16", "utf-32", "gb18030"):
        path.write_bytes(text.encode(encoding))
        expected = text.encode().removeprefix(b"\xef\xbb\xbf")
        assert read(path, make_contract(encoding=encoding), size) == expected
        assert to_utf8(from_utf8(b"x" + expected, encoding), encoding) == b"x" + expected


def test_format_of_a_file_is_the_contracts_for_csv_only(landed):
    feed = make_contract(delimiter=";", encoding="cp1252")
    assert contract_for(feed, "visits/a.csv.gz") == feed
    assert contract_for(feed, "visits/a.PARQUET").csv == CsvFormat()
    with open_source(landed("a.parquet", b""), feed) as source:
        assert source.csv == CsvFormat()
        assert source.line_end == b"\n"
    with open_source(landed("a.csv", TEXT), feed) as source:
        assert source.csv == feed.csv


# Memory

FEW_BLOCKS = 20  # MiB


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_archive_that_becomes_far_larger_takes_no_more_memory(tmp_path, suffix):
    path = tmp_path / f"bomb.csv{suffix}"
    with pa.CompressedOutputStream(str(path), {".gz": "gzip", ".zst": "zstd"}[suffix]) as stream:
        for _ in range(400):
            stream.write(bytes(1 << 20))
    assert path.stat().st_size < 2 << 20
    text, peak = text_and_peak(path)
    assert (text, peak < FEW_BLOCKS) == (400, True), f"{peak} MiB"


def test_large_plain_file_takes_a_few_blocks_of_memory(tmp_path):
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.truncate(400 << 20)
    text, peak = text_and_peak(path)
    assert (text, peak < FEW_BLOCKS) == (400, True), f"{peak} MiB"
