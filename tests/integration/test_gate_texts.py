"""What a failed gate says on the console: every check, whose rows are nobody's, and where to read on."""

from __future__ import annotations

from dataclasses import replace

from support.pipeline import Pipeline

from growth import dbt, gate_texts
from growth.gate_results import run_gate


def test_a_failed_gate_names_every_check_and_shows_rows_of_the_first(pipeline: Pipeline) -> None:
    pipeline.land("sessions", "a.csv", ["4711,2199-01-01 10:00:00,true,DIRECT"] * 2)
    pipeline.land("payments", "a.csv", ["p1,4711,2024-03-01,9.99,USD"])
    pipeline.load()
    result = run_gate("raw", pipeline.warehouse, "run")
    first, *lines = gate_texts.failed(pipeline.warehouse, "raw", result).splitlines()
    assert first == "gate raw failed: events_not_in_future_sessions (2 rows), relationships_payments_user_id (1 row)."
    assert lines[0] == "events_not_in_future_sessions (2 rows):"
    assert lines[1].startswith("    userid …, time_started 2199-01-01, ")
    assert lines[2:4] == [
        '    growth psql --admin -- -c "select * from dq_failures.events_not_in_future_sessions"',
        "relationships_payments_user_id (1 row):",
    ], "two rows that look alike are shown once"
    assert lines[-1] == "docs/runbooks/gate_failed.md says what to do."
    assert "4711" not in "".join(lines)

    [broken] = [each for each in result.failures if "future" in each.name]
    message = "Database Error in test x\n  relation y\n  does not exist\n  LINE 1\n  compiled code at z"
    broken = replace(broken, row_count=None, status="error", message=message, kept_in="")
    many = replace(result, failures=(broken,) * (gate_texts.CHECKS_SHOWN + 2))
    lines = gate_texts.failed(pipeline.warehouse, "raw", many).splitlines()
    assert lines[0].count("events_not_in_future_sessions") == gate_texts.CHECKS_SHOWN + 2
    assert lines[1] == "events_not_in_future_sessions could not run:"
    assert lines[2:4] == ["    Database Error in test x", "    relation y"]
    assert lines[-2:] == ["and 2 more", "docs/runbooks/gate_failed.md says what to do."]

    nothing = dbt.DbtResult(succeeded=False, node_count=0, failures=(), error="no such column")
    assert gate_texts.failed(pipeline.warehouse, "raw", nothing).splitlines()[0] == "gate raw failed: no such column."
