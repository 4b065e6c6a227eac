"""Which dates at the start of a file the server must judge, because their year may have two digits."""

from __future__ import annotations

import pytest
from support.corpus import AT, ID, NOTE, column, contract_of

from ingest.header import match_header
from ingest.years import LOOKED_AT_BYTES, may_guess_a_year

FIELDS = ("id", "at", "note", "day")


def is_looked_at(text: str, **csv: object) -> bool:
    contract = contract_of("notes", columns=(ID, AT, NOTE, column("day", "date", nullable=True)), csv=csv)
    return may_guess_a_year(text.encode(), contract, match_header(FIELDS, contract), b"\n")


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
