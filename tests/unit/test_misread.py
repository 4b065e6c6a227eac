"""Which dates and times at the start of a file the server must judge, and which offsets it then refuses."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from support.corpus import AT, ID, NOTE, column, contract_of
from support.postgres import PostgresServer

from ingest.header import match_header
from ingest.misread import LOOKED_AT_BYTES, may_be_misread, offset_behind_letters

FIELDS = ("id", "at", "note", "day")
# The server takes each of these without a word: the sign for its opposite, or hundreds of hours.
MISREAD = (
    *("2024-01-05 10:00:00 UTC+2", "2024-01-05 10:00:00 UTC+02:00", "2024-01-05 10:00:00 utc-02"),
    *("2024-01-05 10:00:00 GMT+1", "2024-01-05 10:00:00GMT+1", "2024-01-05 10:00:00 GMT-5"),
    *("2024-01-05 10:00:00 XYZ+3", "2024-01-05 10:00 CET+1", "2024-01-05T10:00:00Z+02:00", "20240105T100000UTC+2"),
    *(
        "Fri Jan 05 2024 10:00:00 GMT+0100",
        "2024-01-05 10:00 (UTC+02:00)",
        "2024-01-05 UTC+2",
        "2024-01-05 UTC+2 10:00",
    ),
    *("2024-01-05 10:00 UTC/GMT+2", "2024-01-05 10:00 UTC.+2", "2024-01-05 10:00 Europe/Berlin+1"),
    *(
        "2024-01-05 10:00 Etc/GMT+2:30",
        "2024-01-05 10:00 MART-9",
        "2024-01-05 10:00 PST+8PDT",
        "2024-01-05 10:00 EST-5EDT",
    ),
    *("2024-01-05 10:00 PM-05", "2024-01-05 AD-10:00", "2024-01-05 10:00 SAT-2"),
    *("2024-01-05 10:00 UTC2", "2024-01-05 10:00 GMT0100", "2024-01-05 10:00 UTC+0:30", "05 Jan 2024 10:00 GMT+1"),
)
# And each of these as it is meant.
READ_RIGHT = (
    *("2024-01-05 10:00+02", "2024-01-05 10:00 +0200", "2024-01-05 10:00:00-02:00", "2024-01-05T10:00:00.5Z"),
    *("2024-01-05 10:00 UTC", "2024-01-05 10:00 GMT", "2024-01-05 10:00 CET", "2024-01-05 10:00 Europe/Berlin"),
    *("2024-01-05 10:00 Etc/GMT+2", "2024-01-05 10:00 Etc/GMT-14", "2024-01-05 10:00 posix/Etc/GMT+2"),
    *("2024-01-05 10:00 EST5EDT", "2024-01-05 10:00 America/Port-au-Prince", "2024-01-05 10:00 NZ-CHAT"),
    *("05-Jan-2024 10:00", "Jan-05-2024", "January-05-2024 10:00+02", "Sept-05-2024", "05Jan2024", "Jan05 2024"),
    *("2024-01-05 10:00 AM+02", "2024-01-05 10:00AM+02", "2024-01-05 10:00 PM -05", "2024-01-05 10:00 AD+02"),
    *("Fri, 05 Jan 2024 10:00:00 +0100", "Fri Jan 05 10:00:00 +0100 2024", "Fri05 Jan 2024", "20240105T100000+02"),
    *("J2460315", "infinity", "-infinity", "epoch"),
)
ZERO = ("2024-01-05 10:00 GMT+0000", "2024-01-05 10:00 UTC+00:00", "2024-01-05 10:00 UTC-0", "2024-01-05 10:00 GMT0")


@pytest.fixture(scope="module")
def conn(postgres_server: PostgresServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as conn:
        conn.execute("set timezone = 'UTC'")
        yield conn


def is_looked_at(text: str, **csv: object) -> bool:
    contract = contract_of("notes", columns=(ID, AT, NOTE, column("day", "date", nullable=True)), csv=csv)
    return may_be_misread(text.encode(), contract, match_header(FIELDS, contract), b"\n")


@pytest.mark.parametrize(
    "value",
    [
        *("18/11/26", "18.11.26", "18-11-26", "18 11 26", "1/2/3", " 18/11/26 ", "18-Nov-26", "Nov 18 26"),
        *(
            "Nov 18, '26",
            "181126",
            "181126T101010",
            "18.330",
            "18/11/26 10:00",
            "18/11/26 10:00:00.2026",
            "18/11/26 10:00+0530",
        ),
        *("18-11-26T1010", "18-11-26T10:10Z"),
    ],
)
@pytest.mark.parametrize("record", ['1,"{}",x,', '1,2024-01-01,x,"{}"'])
def test_a_year_of_two_digits_is_looked_at(value: str, record: str) -> None:
    assert is_looked_at("1,2024-01-01,x,\n" + record.format(value) + "\n")


@pytest.mark.parametrize(
    "value",
    [
        *("2018-11-26", "2018/11/26", "2018.11.26", "26.11.2018", "26-Nov-2018", "Nov 26, 2018", "26 November 2018"),
        *("20181126", "20181126T101010", "20181126 101010", "2018.330", "0018-11-26", "2018-11-26 10:00:00.5+05:30"),
        *("2018-11-26T10:00Z", "26.11.2018 10:00", "", "infinity", "-infinity", "epoch", "x", "J2451187"),
        *("Mon Nov 26 10:10:10 2018", "Wed Aug 27 13:08:45 +0000 2008", "Sat Oct 11 17:13:46 UTC 2003"),
        *("Wed Dec 17 07:37:16 1997 PST", "Nov 26 10:10 2018"),
    ],
)
def test_a_year_in_full_passes_at_full_speed(value: str) -> None:
    assert not is_looked_at(f'1,"{value}",18/11/26,"{value}"\n')


@pytest.mark.parametrize("order", ["DMY", "MDY"])
def test_six_digits_are_looked_at_whatever_the_order(order: str) -> None:
    assert not is_looked_at("1,18/11/26,181126,18-Nov-26\n", date_order=order)
    assert is_looked_at("1,18/11/26,x,181126\n", date_order=order)


def test_a_null_is_no_date() -> None:
    assert not is_looked_at("1,2024-01-01,x,00/00/00\n", nulls=["00/00/00"])
    assert is_looked_at("1,2024-01-01,x,00/00/00\n")


def test_the_record_that_is_cut_off_is_not_looked_at() -> None:
    record = "1,2024-01-01,x,2024-01-01\n"
    for length in range(LOOKED_AT_BYTES, LOOKED_AT_BYTES + len(record)):
        assert not is_looked_at((record * LOOKED_AT_BYTES)[:length] + record)
        assert not is_looked_at("x" * (length - LOOKED_AT_BYTES) + record * LOOKED_AT_BYTES)


@pytest.mark.parametrize("length", [LOOKED_AT_BYTES, 200_000])
def test_a_first_record_that_is_long_hides_no_year(length: int) -> None:
    assert is_looked_at(f"1,18/11/26,{'x' * length},2024-01-01\n" + "1,18/11/26,x,2024-01-01\n" * 1000)
    assert is_looked_at(f"1,18/11/26,{'x' * length},2024-01-01")


@pytest.mark.parametrize("order", ["YMD", "DMY"])
@pytest.mark.parametrize("value", [*MISREAD, *ZERO])
def test_an_offset_behind_letters_is_looked_at(value: str, order: str) -> None:
    assert is_looked_at(f"1,2024-01-01,x,\n1,{value},x,\n", date_order=order)


@pytest.mark.parametrize("order", ["YMD", "DMY"])
@pytest.mark.parametrize("value", READ_RIGHT)
def test_another_zone_passes_at_full_speed(value: str, order: str) -> None:
    assert not is_looked_at(f'1,"{value}",x,\n', date_order=order)


def test_an_offset_matters_only_in_a_time() -> None:
    assert not is_looked_at("1,2024-01-05,UTC+2,2024-01-05 10:00 UTC+2\n")
    assert not is_looked_at("1,epoch UTC+2,x,\n", nulls=["epoch UTC+2"])


def is_refused(conn: psycopg.Connection, value: str, place: int) -> bool:
    condition = offset_behind_letters()[place]
    row = conn.execute(f"select {condition} from (select %s::text as field) as value".encode(), [value]).fetchone()
    assert row is not None
    return bool(row[0])


@pytest.mark.parametrize("value", MISREAD)
def test_the_server_would_read_an_offset_behind_letters_and_is_kept_from_it(
    conn: psycopg.Connection, value: str
) -> None:
    assert conn.execute("select cast(%s as timestamptz) is not null", [value]).fetchone() == (True,)
    assert is_refused(conn, value, 1)


@pytest.mark.parametrize("value", [*READ_RIGHT, *ZERO])
def test_what_the_server_reads_as_it_is_meant_is_left_to_it(conn: psycopg.Connection, value: str) -> None:
    assert conn.execute("select cast(%s as timestamptz) is not null", [value]).fetchone() == (True,)
    assert not is_refused(conn, value, 0)
    assert not is_refused(conn, value, 1)


def test_no_name_of_a_zone_is_taken_for_an_offset(conn: psycopg.Connection) -> None:
    query = "select name from pg_timezone_names union select abbrev from pg_timezone_abbrevs"
    times = [f"2024-01-05 10:00 {name}" for (name,) in conn.execute(query)]
    assert [time for time in times if is_refused(conn, time, 0) or is_refused(conn, time, 1)] == []


def test_words_behind_the_offset_do_not_hide_what_is_wrong(conn: psycopg.Connection) -> None:
    assert is_refused(conn, "Fri Jan 05 2024 10:00:00 GMT+0100 (Central European Time)", 0)
    assert not is_refused(conn, "550e8400-e29b-41d4-a716-446655440000", 0)


@pytest.mark.parametrize("zone", ["UTC +2", "GMT +1", "CET - 1", "Z +2", "XYZ +3", "Etc/GMT +2", "GMT 0100"])
def test_the_server_itself_refuses_an_offset_apart_from_letters(conn: psycopg.Connection, zone: str) -> None:
    with pytest.raises(psycopg.DataError):
        conn.execute("select cast(%s as timestamptz)", [f"2024-01-05 10:00 {zone}"])
