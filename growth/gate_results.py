"""Run gates and write down what they found, check by check; read it again.

Target: ``mart.gate_results``, one row per run, gate and check.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

from growth import ageing, invocations
from growth.dbt import DbtResult, check_layer
from growth.gate_names import FRESHNESS
from growth.operations import KEPT_DAYS
from growth.settings import Warehouse

log = logging.getLogger(__name__)

INSERT = """
insert into mart.gate_results
(run_id, gate, check_name, kind, tag, severity, status, failing_row_count, kept_in, duration_seconds)
values (%s, %s, %s, %s, %s, %s, %s, %s, nullif(%s, ''), %s)
"""
SELECT = """
select run_id, gate, check_name, kind, tag, severity, status, failing_row_count, coalesce(kept_in, '') as kept_in
from mart.gate_results where run_id = %s order by gate, check_name
"""

WARNED = """
select run_id, gate, check_name, kind, tag, severity, status, failing_row_count, coalesce(kept_in, '') as kept_in
from mart.gate_results as results
where
    status = 'warn' and gate <> %s
    and (gate, run_id) in (
        select distinct on (gate) gate, run_id from mart.gate_results order by gate asc, checked_at desc
    )
order by gate, check_name
"""


@dataclass(frozen=True, slots=True)
class GateResult:
    """What one check found in one run; ``failing_row_count`` is None where it could not run."""

    run_id: str
    gate: str
    check_name: str
    kind: str
    tag: str
    severity: str
    status: str
    failing_row_count: int | None
    kept_in: str


def run_gate(layer: str, warehouse: Warehouse, run_id: str, domains: Sequence[str] = ()) -> DbtResult:
    """Run the data tests of a layer and write down what each found, whether the gate opens or not.

    Raises:
        ColdFileBroken: rows of days that new loads touched left raw, and cannot be brought back.
        psycopg.OperationalError: connection lost.
    """
    if layer == "raw":  # what is judged beside new loads
        ageing.bring_back(warehouse, log.info, gates_only=True)
    result = check_layer(layer, warehouse, domains=domains)
    if not result.lost_connection:
        record(warehouse, run_id, layer, result)
        invocations.record(warehouse, run_id, f"gate_{layer}", result)
    return result


def record(warehouse: Warehouse, run_id: str, gate: str, result: DbtResult) -> None:
    """Write down every check of a gate, in place of what an earlier try of the same run found; drop old results.

    Raises:
        psycopg.OperationalError: connection lost.
    """
    with psycopg.connect(warehouse.conninfo("transform")) as conn, conn.cursor() as cursor:
        cursor.execute("delete from mart.gate_results where run_id = %s and gate = %s", [run_id, gate])
        cursor.execute("delete from mart.gate_results where checked_at < now() - %s * interval '1 day'", [KEPT_DAYS])
        cursor.executemany(
            INSERT,
            [
                (
                    *(run_id, gate, check.name, check.kind, check.tag, check.severity, check.status),
                    *(check.row_count, check.kept_in, round(check.seconds, 3)),
                )
                for check in result.checks
            ],
        )


def of_run(warehouse: Warehouse, run_id: str) -> list[GateResult]:
    """What the gates of a run found, by gate and name."""
    with (
        psycopg.connect(warehouse.conninfo("transform")) as conn,
        conn.cursor(row_factory=class_row(GateResult)) as cursor,
    ):
        return cursor.execute(SELECT, [run_id]).fetchall()


def warned(warehouse: Warehouse) -> list[GateResult]:
    """The checks that warned when their gate was last run, by gate and name; late feeds are none of them.

    Raises:
        psycopg.OperationalError: no connection as the owner, who may not know the password of ``transform``.
    """
    with (
        psycopg.connect(warehouse.conninfo()) as conn,
        conn.cursor(row_factory=class_row(GateResult)) as cursor,
    ):
        if conn.execute("select to_regclass('mart.gate_results')").fetchone() == (None,):  # of an older release
            return []
        return cursor.execute(WARNED, [FRESHNESS]).fetchall()
