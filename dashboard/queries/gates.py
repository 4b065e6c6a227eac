"""What the queries about gates share."""

from __future__ import annotations

from growth.gate_names import STOP_NOTHING

# What layers' gates found, and the newest run of them.
NEWEST_GATES = f"""
    with results as (
        select * from mart.gate_results where gate not in ({", ".join(f"'{name}'" for name in STOP_NOTHING)})
    ),

    newest as (select run_id from results order by checked_at desc limit 1)
"""  # noqa: S608 (fixed text)
