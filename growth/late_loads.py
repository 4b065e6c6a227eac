"""Loads that came after a run's gates looked: its models are built of none that no gate has judged.

Target: ``dwh._seen_loads``, what was there when gate raw of the run began. Loads beside a run are welcome until its
models are built (``growth load``, ``growth rejects replay``); those that gate raw missed are judged then, and while
models are built none begins (``ingest.standstill``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import psycopg

from growth.dbt import DbtResult, run_layer
from growth.gate_results import run_gate
from growth.settings import Warehouse, feeds_folder
from ingest.contract_files import load_contracts
from ingest.standstill import standstill

GATES: tuple[str, ...] = ("raw", "staging")
SEE = """
insert into dwh._seen_loads (run_id, load_ids)
select %s, coalesce(array_agg(load_id), '{}') from raw._loads where status <> 'refused'
on conflict (is_only_row) do update set run_id = excluded.run_id, load_ids = excluded.load_ids
"""
# `not in` of a subquery is hashed; `<> all` of an array that a subquery gives is searched anew for each load
LATE = """
select source_file from raw._loads
where
    feed = any(%s) and status <> 'refused'
    and load_id not in (select unnest(load_ids) from dwh._seen_loads where run_id = %s)
order by load_id
"""


def see(warehouse: Warehouse, run_id: str) -> None:
    """Write down which loads gate raw of a run is about to judge."""
    with psycopg.connect(warehouse.conninfo("transform")) as conn:
        conn.execute(SEE, [run_id])


def late_files(warehouse: Warehouse, run_id: str, domains: Sequence[str] = ()) -> list[str]:
    """Files of the domains, of all where none is named, that were loaded, or taken out, after gate raw looked."""
    contracts = load_contracts(feeds_folder())
    feeds = [feed for feed, contract in contracts.items() if not domains or contract.domain in domains]
    with psycopg.connect(warehouse.conninfo("transform")) as conn:
        return [source_file for (source_file,) in conn.execute(LATE, [feeds, run_id])]


def build_judged(
    warehouse: Warehouse,
    run_id: str,
    say: Callable[[str], None],
    *,
    domains: Sequence[str] = (),
    full_refresh: bool = False,
) -> tuple[str, DbtResult]:
    """Build dwh of loads that gates raw and staging of the run have judged.

    Returns:
        What was done last, such as ``gate_raw`` or ``run_dwh``, and what came of it. A gate that failed is the last.

    Raises:
        ColdFileBroken: rows that are needed left raw, and cannot be brought back.
        psycopg.OperationalError: connection lost.
    """
    with standstill(warehouse.conninfo("transform")):
        if late := late_files(warehouse, run_id, domains):
            say(f"Loaded after gate raw looked, so it and gate staging judge once more: {', '.join(late)}")
            for layer in GATES:
                result = run_gate(layer, warehouse, run_id, domains)
                if not result.succeeded:
                    return f"gate_{layer}", result
            see(warehouse, run_id)  # only now: another try of this task must not take them for judged
        return "run_dwh", run_layer("dwh", warehouse, domains=domains, full_refresh=full_refresh)
