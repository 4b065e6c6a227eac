"""The command ``growth check``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import FrameType
from typing import Any

import click

from growth.console import known_names
from growth.precheck.steps import STEPS, Outcome, run

HELP = """\
Check contracts, DAGs and dbt project before they go live; exits 1 when something is wrong.

\b
  contracts    the feed contracts can be read, and every key is right
  sources      dbt's sources are what follows from the contracts
  parse        dbt can read the project
  compile      every model, test and analysis can be rendered
  build        Postgres takes every model, as new and as an increment
  unit-tests   the unit tests of the models pass
  dags         Airflow can import every DAG
  lint         sqlfluff and ruff find nothing, where they are installed

Needs no stack and no warehouse: it starts a Postgres of its own, without data, and leaves nothing behind.
"""


_step_list = known_names("step", lambda: STEPS)


@click.command(help=HELP)
@click.option("--only", callback=_step_list, metavar="STEP,...", help="Only these steps.")
@click.option("--skip", callback=_step_list, metavar="STEP,...", help="All but these steps.")
def check(only: list[str], skip: list[str]) -> None:
    """Run the steps and tell of each."""
    wanted = [step for step in (only or STEPS) if step not in skip]
    if not wanted:
        raise click.UsageError("no step is left to run")
    outcomes = []
    with _interruptible() as was_interrupted, closing(run(wanted)) as steps:
        for outcome in steps:
            if was_interrupted():  # dbt takes it for a failure of its own
                break
            outcomes.append(outcome)
            _tell(outcome)
    if was_interrupted():
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    failed = [outcome.step for outcome in outcomes if outcome.status == "failed"]
    ran = sum(outcome.status != "skipped" for outcome in outcomes)
    click.echo(f"{len(failed)} of {ran} steps failed: {', '.join(failed)}" if failed else f"{ran} steps, nothing wrong")
    sys.exit(1 if failed else 0)


def _tell(outcome: Outcome) -> None:
    time = "" if outcome.status == "skipped" else f"{outcome.seconds:.1f} s"
    click.echo(f"{outcome.step:<11} {outcome.status:<8} {time:>7}  {outcome.note}".rstrip())
    for finding in outcome.findings:
        click.echo("\n".join(f"    {line}".rstrip() for line in str(finding).splitlines()))
    if outcome.status == "failed":
        click.echo(f"  What to do: {STEPS[outcome.step]}")


@contextmanager
def _interruptible() -> Iterator[Any]:
    """Let SIGTERM and Ctrl-C end the check with everything stopped and removed; gives whether one came."""
    came: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(came)
    except KeyboardInterrupt:
        if not came:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
