"""The quarantine of a feed, and the ways out of it."""

from __future__ import annotations

import psycopg

from ingest import quarantine
from ingest.unload import unload

RECORDS = (
    "7,2024-01-01,true,DIRECT",
    "seven,2024-01-02,true,DIRECT",
    ",2024-01-03,true,EMAIL",
    '8,2024-01-04,true,"two\nlines"',
    "9,2024-01-05,maybe,DIRECT",
    "eight,2024-01-06,true,DIRECT",
)
REFUSED = [
    (3, "userid", "wrong_type", 'invalid input syntax for type bigint: "seven"', b"seven,2024-01-02,true,DIRECT"),
    (4, "userid", "missing_value", "a required value is missing", b",2024-01-03,true,EMAIL"),
    (7, "is_paid", "wrong_type", 'invalid input syntax for type boolean: "maybe"', b"9,2024-01-05,maybe,DIRECT"),
    (8, "userid", "wrong_type", 'invalid input syntax for type bigint: "eight"', b"eight,2024-01-06,true,DIRECT"),
]


class Quarantine:
    """A bench whose sessions may be mostly bad, and the ways out of quarantine."""

    def __init__(self, bench):
        self.bench = bench
        bench.change_contract(max_reject_rate=0.9)
        self.contract = bench.contracts["sessions"]
        self.conninfo = bench.warehouse.conninfo("ingest")

    def replay(self, **options):
        return quarantine.replay(self.conninfo, self.bench.contracts["sessions"], run_id="replay", **options)

    def unload(self, source_file):
        return unload(self.conninfo, self.bench.contracts["sessions"], source_file, run_id="unload")

    def listed(self):
        with psycopg.connect(self.conninfo) as conn:
            return quarantine.summarise(conn, ["sessions"])

    def records(self, source_file):
        with psycopg.connect(self.conninfo) as conn:
            return list(quarantine.rejects_of(conn, source_file))

    def export(self, source_file):
        with psycopg.connect(self.conninfo) as conn:
            return b"".join(quarantine.export(conn, self.bench.contracts["sessions"], source_file))

    def users(self):
        return self.bench.rows("select userid, time_started::date::text from raw.sessions order by time_started")

    def waiting(self):
        """Lines of all that was ever refused and not replayed, whatever became of the file."""
        query = "select line_number from raw._rejects where replayed_at is null order by load_id, line_number"
        return [line for (line,) in self.bench.rows(query)]
