"""A Parquet file gives the CSV text that says the same, of every type that a contract can take."""

from __future__ import annotations

import csv
import decimal
import io
import random
import uuid
from datetime import UTC, date, datetime, time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.reading import make_contract, read, refusal, text_and_peak

from ingest.errors import FileRefused
from ingest.source import open_source

MICROSECOND = 1_704_067_200_000_001  # 2024-01-01 00:00:00.000001 UTC


def write(folder: Path, columns: dict[str, pa.Array], **options: object) -> Path:
    path = folder / "a.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return path


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([1, None, -3], pa.int16()), ["1", "", "-3"]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([True, False, None]), ["true", "false", ""]),
        (pa.array([0.1, 1e-7, None, float("nan"), -1e3]), ["0.1", "0.0000001", "", "nan", "-1000"]),
        (pa.array([12345678901.0, None, -0.0]), ["12345678901", "", "0"]),
        (pa.array([0.1, 16777215.0], pa.float32()), ["0.1", "16777215"]),
        (pa.array([decimal.Decimal("123.00"), decimal.Decimal("1E+2")], pa.decimal128(20, 2)), ["123", "100"]),
        (pa.array([decimal.Decimal("0.00000012")], pa.decimal128(20, 8)), ["0.00000012"]),
        (pa.array([decimal.Decimal("12.30"), None], pa.decimal128(38, 2)), ["12.30", ""]),
        (
            pa.array([decimal.Decimal("1234567890123456789012345678901234567890.5")], pa.decimal256(60, 1)),
            ["1234567890123456789012345678901234567890.5"],
        ),
        (pa.array([date(2024, 2, 29), None]), ["2024-02-29", ""]),
        (pa.array([time(1, 2, 3, 4)]), ["01:02:03.000004"]),
        (pa.array([MICROSECOND, None], pa.timestamp("us")), ["2024-01-01 00:00:00.000001", ""]),
        (pa.array([MICROSECOND, None], pa.timestamp("us", "UTC")), ["2024-01-01 00:00:00.000001Z", ""]),
        (pa.array([MICROSECOND], pa.timestamp("us", "America/New_York")), ["2024-01-01 00:00:00.000001Z"]),
        (pa.array([MICROSECOND * 1000], pa.timestamp("ns", "+02:00")), ["2024-01-01 00:00:00.000001Z"]),
        (pa.array([MICROSECOND * 1000], pa.timestamp("ns")), ["2024-01-01 00:00:00.000001"]),
        (pa.array([MICROSECOND // 1000], pa.timestamp("ms", "UTC")), ["2024-01-01 00:00:00.000Z"]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", "", "a"]),
        (pa.array(["x", None], pa.large_string()), ["x", ""]),
        (pa.array(["x", None], pa.string_view()), ["x", ""]),
        (pa.nulls(2), ["", ""]),
        (pa.array([uuid.UUID(int=1).bytes, None], pa.uuid()), [str(uuid.UUID(int=1)), ""]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_types_become_text_without_loss(tmp_path, values, texts):
    path = write(tmp_path, {"user_id": pa.array(range(len(values))), "name": values})
    expected = "".join(f"{place},{text}\n" for place, text in enumerate(texts))
    assert read(path).decode() == "user_id,name\n" + expected


def test_null_and_empty_text_differ(tmp_path):
    path = write(tmp_path, {"user_id": pa.array([1, 2]), "name": pa.array([None, ""])})
    assert read(path) == b'user_id,name\n1,\n2,""\n'


@given(st.lists(st.none() | st.text(st.sampled_from('a,"\n\r\0 é\\.'), max_size=4), min_size=1, max_size=20))
def test_every_text_comes_back_from_the_csv(tmp_path_factory, texts):
    columns = {"name": pa.array(texts, "string"), "user_id": pa.nulls(len(texts))}
    text = read(write(tmp_path_factory.mktemp("landing"), columns)).decode()
    records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert records == [["name", "user_id"], *([value or "", ""] for value in texts)]


@pytest.mark.parametrize("text", ["\\.", "", "a"])
def test_text_alone_on_its_line_is_quoted(tmp_path, text):
    assert read(write(tmp_path, {"name": pa.array([text])})) == f'name\n"{text}"\n'.encode()


def test_header_names_are_quoted_where_they_need_it(tmp_path):
    path = write(tmp_path, {"user_id": pa.array([1]), 'a,"b"': pa.array([2]), "": pa.array([3])})
    assert read(path) == b'user_id,"a,""b""",""\n1,2,3\n'


def test_file_without_rows_is_a_header(tmp_path):
    path = write(tmp_path, {"user_id": pa.array([], pa.int64()), "name": pa.array([], pa.string())})
    assert read(path) == b"user_id,name\n"


def test_integers_that_came_as_floats_or_decimals_are_integers_again(tmp_path):
    floats = pa.array([1.0, None, 1e15, 9007199254740991.0])
    assert read(write(tmp_path, {"user_id": floats})) == b"user_id\n1\n\n1000000000000000\n9007199254740991\n"
    decimals = pa.array([decimal.Decimal("7.00"), decimal.Decimal("7.50")])
    # what is no integer stays what it is, for the server to refuse
    assert read(write(tmp_path, {"user_id": decimals, "name": pa.array(["a", "b"])})) == b"user_id,name\n7,a\n7.50,b\n"
    mixed = pa.array([1e15, 0.5, float("nan"), float("inf"), None])
    path = write(tmp_path, {"user_id": mixed, "name": pa.array(list("abcde"))})
    assert read(path) == b"user_id,name\n1000000000000000,a\n0.5,b\nnan,c\ninf,d\n,e\n"


@pytest.mark.parametrize("others", [[], [0.5, float("inf")]])
@pytest.mark.parametrize(
    ("value", "kind", "bits"),
    [
        (2.0**53, pa.float64(), 53),
        (-(2.0**53), pa.float64(), 53),
        (1e300, pa.float64(), 53),
        (2.0**24, pa.float32(), 24),
    ],
)
def test_whole_numbers_that_may_have_been_rounded_are_no_ids(tmp_path, others, value, kind, bits):
    values = pa.array([1, None, value, *others], kind)
    assert refusal(write(tmp_path, {"name": values})).startswith(
        f"column 'name': has whole numbers of 2^{bits} or more"
    )
    # in a column of integers it stays what it is, for the server to refuse that record
    lines = read(write(tmp_path, {"user_id": values})).decode().splitlines()
    assert [lines[1].strip('"'), lines[3].strip('"')] == ["1", repr(value)]


def test_amounts_may_be_as_large_as_floats_are(tmp_path):
    path = write(tmp_path, {"user_id": pa.array([1]), "amount": pa.array([1e300])})
    assert read(path, make_contract({"user_id": "bigint", "amount": "numeric"})) == b"user_id,amount\n1,1e+300\n"


def test_nanoseconds_that_would_be_lost_refuse_the_file(tmp_path):
    nanoseconds = pa.array([MICROSECOND * 1000 + 1], pa.timestamp("ns"))
    assert refusal(write(tmp_path, {"name": nanoseconds})).startswith("column 'name': ")


def test_times_of_the_oldest_kind_do_not_wrap_around(tmp_path):
    far = pa.array([datetime(9999, 12, 31, tzinfo=UTC)], pa.timestamp("us"))
    path = write(tmp_path, {"name": far}, use_deprecated_int96_timestamps=True)
    assert read(path) == b"name\n9999-12-31 00:00:00.000000\n"


@pytest.mark.parametrize(
    "values",
    [
        pa.array([[1]]),
        pa.array([{"a": 1}]),
        pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        pa.array([b"x"]),
        pa.array([b"x"]).dictionary_encode(),
        pa.array([b"x" * 4], pa.binary(4)),
        pa.array([1], pa.duration("s")),
    ],
    ids=lambda values: str(values.type),
)
def test_column_that_is_no_single_value_refuses_the_file_where_the_contract_has_it(tmp_path, values):
    assert refusal(write(tmp_path, {"user_id": pa.array([1]), "name": values})).startswith("column 'name' is of type ")
    assert refusal(write(tmp_path, {"FULL name": values})).startswith("column 'FULL name' is of type ")
    path = write(tmp_path, {"user_id": pa.array([1]), "more": values, "name": pa.array(["a"])})
    assert read(path) == b"user_id,more,name\n1,,a\n"
    assert read(write(tmp_path, {"more": values, "other": values})) == b"more,other\n,\n"


@pytest.mark.parametrize(
    ("folder", "value"),
    [
        ("name=x", "x"),
        ("year=2024/name=a%2Cb", '"a,b"'),
        ("name=x/name=y", "y"),
        ("name=__HIVE_DEFAULT_PARTITION__", ""),
        ("name=", '""'),
    ],
)
def test_partitions_of_the_path_become_columns_of_the_contract(tmp_path, folder, value):
    path = write(tmp_path / folder, {"user_id": pa.array([1, 2])})
    assert read(path).decode() == f"user_id,name\n1,{value}\n2,{value}\n"


def test_partition_that_the_file_has_itself_adds_nothing(tmp_path):
    for name in ("name", "Full Name"):
        path = write(tmp_path / "name=x", {"user_id": pa.array([1]), name: pa.array(["y"])})
        assert read(path).decode() == f"user_id,{name}\n1,y\n"


def test_damaged_file_is_refused(tmp_path):
    rows = random.Random(1)
    texts = pa.array([str(rows.random()) for _ in range(2000)])
    content = write(tmp_path, {"name": texts}, write_page_checksum=True).read_bytes()
    path = tmp_path / "a.parquet"
    for damaged in (b"", b"PAR1", b"user_id,name\n", content[:-1], content[: len(content) // 2], content[4:]):
        path.write_bytes(damaged)
        assert refusal(path).startswith("cannot be read as Parquet: ")
    for place in range(100, len(content) // 2, 499):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        assert refusal(path).startswith("cannot be read as Parquet: ")


def test_invalid_utf8_is_left_for_the_server_to_refuse(tmp_path):
    buffers = [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xc3(")]
    path = write(tmp_path, {"name": pa.Array.from_buffers(pa.string(), 1, buffers), "user_id": pa.array([1])})
    assert read(path) == b"name,user_id\n\xc3(,1\n"


def test_large_file_takes_little_memory(tmp_path):
    path, rows = tmp_path / "a.parquet", random.Random(1)
    table = pa.table(
        {
            "session_id": pa.array([f"{rows.getrandbits(128):032x}" for _ in range(250_000)]),
            "started_at": pa.array([rows.randrange(10**15) for _ in range(250_000)], pa.timestamp("us", "UTC")),
            "channel": pa.array([rows.choice(["web", "mail"]) for _ in range(250_000)]),
        }
    )
    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(pa.concat_tables([table] * 8), row_group_size=2_000_000)
        writer.write_table(pa.concat_tables([table] * 8), row_group_size=2_000_000)
    text, peak = text_and_peak(path)
    assert text > 200
    assert peak < 80, f"{peak} MiB"


MIB = 1 << 20
LONG = "x" * MIB


def words(texts: list[str], places: list[int]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()), pa.array(texts))


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (words([LONG], [0] * 600), {}),
        (
            words(["a", LONG], [0] * 99_400 + [1] * 600),
            {"use_dictionary": False, "compression": "zstd", "write_batch_size": 8},
        ),
        (
            pa.array([f"{LONG}{place}" for place in range(300)]),
            {"use_dictionary": False, "column_encoding": {"name": "DELTA_BYTE_ARRAY"}},
        ),
    ],
    ids=["by dictionary", "by compression", "by prefix"],
)
def test_small_file_takes_little_memory_whatever_is_packed_in_it(tmp_path, values, options):
    path = write(tmp_path, {"user_id": pa.nulls(len(values)), "name": values}, **options)
    assert path.stat().st_size < 2 * MIB
    text, peak = text_and_peak(path)
    assert text >= 300
    assert peak < 260, f"{peak} MiB"


def test_value_that_no_record_can_hold_is_refused_with_its_row(tmp_path):
    path = write(tmp_path, {"name": words(["a", "x" * (16 * MIB + 1)], [0] * 300 + [1])})
    assert refusal(path) == (
        "column 'name', row 301: a value of 16,777,217 bytes, a record may have 16 MiB; shorten it, or leave it out"
    )


def test_pages_that_are_too_large_unpacked_are_refused_before_they_are(tmp_path):
    values = words([LONG], [0] * 150)
    path = write(
        tmp_path, {"name": values, "b": values}, use_dictionary=False, compression="zstd", data_page_size=2**30
    )
    with open_source(path, make_contract()) as source:
        before = pa.total_allocated_bytes()
        with pytest.raises(FileRefused, match="row group 1 takes 300 MiB of memory at once"):
            source.read_block()
        assert pa.total_allocated_bytes() - before < 16 * MIB


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("columns", [1, 3])
def test_rows_come_whole_and_in_order_whatever_the_pages(tmp_path, version, columns):
    rows = random.Random(columns)
    texts = [rows.choice(["a", "b" * rows.randrange(20_000), f"{rows.random()}", None]) for _ in range(9_000)]
    for options in ({}, {"use_dictionary": False}, {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY"}):
        table = {"user_id": pa.array(range(9_000)), **{f"name{place}": pa.array(texts) for place in range(columns)}}
        if "column_encoding" in options:
            options = {**options, "column_encoding": {name: "DELTA_BYTE_ARRAY" for name in table if name != "user_id"}}
        path = write(tmp_path, table, data_page_version=version, data_page_size=50_000, row_group_size=4_000, **options)
        lines = read(path).decode().splitlines()[1:]
        assert lines == [",".join([str(place), *[text or ""] * columns]) for place, text in enumerate(texts)]
