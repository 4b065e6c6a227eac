"""What was loaded, refused and published, and which checks warned, as text."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg

from growth import gate_results, old_rows, packages, table
from growth.dbt import with_rows
from growth.settings import Warehouse, cold_folder, feeds_folder, landing_folder
from ingest.contract_files import load_contracts
from ingest.landing import ARCHIVE_FOLDER

FEEDS = """
select feed,
    count(*) filter (where status = 'loaded') as files,
    coalesce(sum(record_count) filter (where status = 'loaded'), 0)::bigint as records,
    coalesce(sum(loaded_count) filter (where status = 'loaded'), 0)::bigint as loaded,
    coalesce(sum(rejected_count) filter (where status = 'loaded'), 0)::bigint as rejected,
    coalesce(sum(record_count - loaded_count - rejected_count) filter (where status = 'loaded'), 0)::bigint as erased,
    to_char(max(finished_at) filter (where status = 'loaded'), 'YYYY-MM-DD HH24:MI') as last_load
from raw._loads as loads group by feed
"""
HEADERS = (
    *("feed", "files", "records", "loaded", "rejected", "erased", "last load (UTC)"),
    *("raw", "landing", "archive", "cold"),
)
# With the tables of large loads, and what is on its way out.
RAW_BYTES = """
select coalesce(sum(pg_total_relation_size(pg_class.oid)), 0)::bigint
from pg_class inner join pg_namespace on relnamespace = pg_namespace.oid
where nspname = 'raw' and relkind = 'r' and (relname = any(%(tables)s) or relname ~ %(parts)s)
"""
REFUSED_SHOWN = 10
WARNED_SHOWN = 10
# a file that was corrected and loaded since is no news
REFUSED = """
select source_file, error from raw._loads as loads
where status = 'refused' and not exists (
    select from raw._loads as later
    where later.source_file = loads.source_file and later.status = 'loaded' and later.load_id > loads.load_id
)
order by finished_at desc
"""
PUBLICATION = """
select published_at, as_of_date, row_counts from mart.publications order by publication_id desc limit 1
"""


def report(warehouse: Warehouse) -> list[str]:
    """Lines about every feed, refused files, the last publication and what warned."""
    version = packages.elementary_version()
    about_elementary = f"Elementary {version} is in use." if version else packages.ABSENT
    with psycopg.connect(warehouse.conninfo()) as conn:
        if conn.execute("select to_regclass('raw._loads')").fetchone() == (None,):
            return ["The warehouse is empty: land files and run `growth run`.", about_elementary]
        loads = {row[0]: row for row in conn.execute(FEEDS)}
        contracts = load_contracts(feeds_folder())
        rows = [(*loads.get(feed, (feed, 0, 0, 0, 0, 0, None)), *_disk_use(conn, feed)) for feed in contracts]
        rows += [
            (f"{feed} (no contract)", *rest, *_disk_use(conn, feed))
            for feed, *rest in loads.values()
            if feed not in contracts
        ]
        refusals = refused_files(conn)
        erasures, old = _begun_erasures(conn), old_rows.standing(conn)
    refused = [f"REFUSED {path}: {error}" for path, error in refusals.items()]
    if len(refused) > REFUSED_SHOWN:
        refused[REFUSED_SHOWN:] = [f"... and {len(refused) - REFUSED_SHOWN} more refused files"]
    feeds = table.render(HEADERS, rows).splitlines()
    warnings = warned(warehouse, but=old_rows.CHECK)  # whose lines say why
    return [*feeds, *refused, *erasures, *old, last_publication(warehouse), *warnings, about_elementary]


def _begun_erasures(conn: psycopg.Connection) -> list[str]:
    """A line where an erasure did not come to its end."""
    if conn.execute("select to_regclass('raw._erasures')").fetchone() == (None,):
        return []
    row = conn.execute("select count(*), min(erased_at) from raw._erasures where completed_at is null").fetchone()
    if row is None or not row[0]:
        return []
    return [f"{row[0]} people are erased in part since {row[1]:%Y-%m-%d %H:%M}: repeat `growth erase` for them."]


def _disk_use(conn: psycopg.Connection, feed: str) -> tuple[str, str, str, str]:
    """What a feed takes up: its tables in raw, its files in the landing folder, in the archive, and of old loads."""
    names = {"tables": [feed, f"_removed_{feed}"], "parts": rf"^{feed}_load_\d+_\d+$"}
    row = conn.execute(RAW_BYTES, names).fetchone()
    landing = landing_folder()
    return (
        _size(int(row[0]) if row else 0),
        _size(_bytes_below(landing / feed)),
        _size(_bytes_below(landing / ARCHIVE_FOLDER / feed)),
        _size(_bytes_below(cold_folder() / feed)),
    )


def _bytes_below(folder: Path) -> int:
    sizes = 0
    for path in folder.rglob("*"):
        try:
            sizes += path.lstat().st_size if path.is_file() else 0
        except FileNotFoundError:  # moved meanwhile
            continue
    return sizes


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def silent_domains(warehouse: Warehouse) -> list[str]:
    """The domains of which no file is in raw."""
    domains = {contract.feed: contract.domain for contract in load_contracts(feeds_folder()).values()}
    with psycopg.connect(warehouse.conninfo()) as conn:
        loaded = conn.execute("select distinct feed from raw._loads where status = 'loaded'").fetchall()
    return sorted({*domains.values()} - {domains[feed] for (feed,) in loaded if feed in domains})


def delivered_files(warehouse: Warehouse) -> int:
    """How many files have ever been delivered, refused ones included."""
    with psycopg.connect(warehouse.conninfo()) as conn:
        row = conn.execute("select count(*) from raw._loads").fetchone()
        return int(row[0]) if row else 0


def refused_files(conn: psycopg.Connection) -> dict[str, str]:
    """Files that were refused whole and not loaded since → why, the newest first; without those taken away."""
    refused: dict[str, str] = {}
    for path, error in conn.execute(REFUSED).fetchall():
        if os.path.lexists(landing_folder() / path):
            refused.setdefault(path, error)
    return refused


def last_publication(warehouse: Warehouse) -> str:
    """One line about the newest publication."""
    with psycopg.connect(warehouse.conninfo()) as conn:
        row = conn.execute(PUBLICATION).fetchone()
    if row is None:
        return "Nothing has been published yet."
    published_at, as_of_date, row_counts = row
    counts = ", ".join(f"{mart} {count:,}" for mart, count in row_counts.items())
    return f"Published {published_at:%Y-%m-%d %H:%M} UTC, data up to {as_of_date or '(none)'}. Rows: {counts}."


def warned(warehouse: Warehouse, *, but: str = "") -> list[str]:
    """One line about the checks that warned in the newest run, but for one; none where none did."""
    checks = [check for check in gate_results.warned(warehouse) if check.check_name != but]
    found = [with_rows(check.check_name, check.failing_row_count) for check in checks]
    if not found:
        return []
    more = f" and {len(found) - WARNED_SHOWN} more" if len(found) > WARNED_SHOWN else ""
    names = ", ".join(found[:WARNED_SHOWN]) + more
    return [f"Warned, worth a look: {names}. docs/runbooks/data_quality.md says what to do."]
