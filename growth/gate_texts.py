"""What a failed gate says to who runs it: which checks, how many rows, what these look like, where to read on.

Nothing in it is personal data: it goes to consoles and logs. The SQL of the checks stands in the task's log.
"""

from __future__ import annotations

from growth.alerts.examples import first_examples
from growth.dbt import DbtResult, with_rows
from growth.settings import Warehouse, feeds_folder
from ingest.contract_files import load_contracts

CHECKS_SHOWN = 10
MESSAGE_LINES = 4


def failed(warehouse: Warehouse, gate: str, result: DbtResult) -> str:
    """Several lines about a gate that failed; the first names every check, the last the runbook."""
    contracts = list(load_contracts(feeds_folder()).values())
    lines = [f"gate {gate} failed: {result.reason}."]
    for failure in result.failed[:CHECKS_SHOWN]:
        if failure.row_count is None:
            lines += [f"{failure.name} could not run:"]
            lines += [f"    {line.strip()}" for line in failure.message.splitlines()[:MESSAGE_LINES]]
            continue
        lines.append(f"{with_rows(failure.name, failure.row_count)}:")
        # masked rows often look alike
        lines += [f"    {row}" for row in dict.fromkeys(first_examples(warehouse, failure.kept_in, contracts))]
        if failure.kept_in:
            lines.append(f'    growth psql --admin -- -c "select * from {failure.kept_in}"')  # noqa: S608 (for a console)
    if more := result.failed[CHECKS_SHOWN:]:
        lines.append(f"and {len(more)} more")
    return "\n".join([*lines, "docs/runbooks/gate_failed.md says what to do."])
