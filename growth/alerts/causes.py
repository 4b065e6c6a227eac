"""What alerts are about: a task that failed, a run that is late, checks that warned.

Everything here is read from the warehouse or is text of an error, of which nothing that may be data is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from growth.alerts.ledger import OUTAGE
from growth.alerts.message import Alert, FailedCheck, Kind

DETAILS_SHOWN = 10
DETAIL_CHARACTERS = 300
# An apostrophe within a word opens no quotation.
QUOTED = re.compile(r"""(?<!\w)'(?:[^'\\]|\\.)*'|"[^"]*"|\S+@\S+""")
# A place in a file, as load errors name it: what follows it quotes the file.
PLACE = re.compile(r"\s+(line \d+(?:, column \w+)?(?:: \w+(?=:|$))?)")


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """A task that will not be tried again; ``label`` names one of a mapped task's instances, such as its feed."""

    dag_id: str
    run_id: str
    task_id: str
    label: str = ""
    error: str = ""
    is_outage: bool = False

    @property
    def scope(self) -> str:
        """The place that the failure belongs to."""
        return task_scope(self.dag_id, self.task_id, self.label)


def task_scope(dag_id: str, task_id: str, label: str) -> str:
    """Scope of a task's failures."""
    return ".".join(part for part in (dag_id, task_id, label) if part)


def task_failed(failure: TaskFailure, checks: Iterable[FailedCheck] = ()) -> Alert:
    """The alert of a failed task; with the checks that stopped it, where it is a gate."""
    name = f"{failure.task_id}[{failure.label}]" if failure.label else failure.task_id
    found = tuple(sorted(checks, key=lambda check: check.name))
    details = harmless_lines(failure.error, failure.label)
    scope = failure.scope
    if found:
        title, cause = f"{name} stopped {failure.dag_id}", ", ".join(check.name for check in found)
        details = ["What readers see stays as it was."]
    elif failure.is_outage:
        # every task that runs meanwhile fails for this one reason
        scope, title, cause = OUTAGE, f"{name} of {failure.dag_id} lost the warehouse", "connection"
    else:
        files = [line.split(": ", 1)[0] for line in details if failure.label and line.startswith(f"{failure.label}/")]
        # tomorrow the same model may fail with other figures
        cause = ", ".join(files) or re.sub(r"\d+", "#", "".join(details[:1])) or "unknown"
        title = f"{name} of {failure.dag_id} failed"
    return Alert(
        kind="failure",
        scope=scope,
        causes=(cause,),
        title=title,
        details=tuple(details),
        checks=found,
        dag_id=failure.dag_id,
        run_id=failure.run_id,
    )


def run_late(dag_id: str, run_id: str, due: datetime) -> Alert:
    """The alert of a run that should have ended; several that wait for one another are one cause."""
    return Alert(
        kind="late",
        scope=late_scope(dag_id),
        causes=("deadline",),
        title=f"{dag_id} is late",
        details=(
            f"The run should have ended by {due:%Y-%m-%d %H:%M} UTC and has not; it goes on.",
            "Readers see the last publication.",
        ),
        dag_id=dag_id,
        run_id=run_id,
    )


def run_failed(dag_id: str, run_id: str, task_id: str, label: str) -> Alert:
    """The alert of a red run of which no task told anything: the task's process was killed before it could."""
    name = f"{task_id}[{label}]" if label else task_id or "a task"
    return Alert(
        kind="failure",
        scope=task_scope(dag_id, task_id, label),
        causes=("killed",),
        title=f"{name} of {dag_id} failed",
        details=("Its process was killed, most likely for want of memory: see the task's log.",),
        dag_id=dag_id,
        run_id=run_id,
    )


def run_scope(dag_id: str) -> str:
    """Scope of the runs of a DAG of which a task told something."""
    return f"{dag_id}.runs"


def late_scope(dag_id: str) -> str:
    """Scope of a DAG's missed deadlines."""
    return f"{dag_id}.late"


def checks_warned(kind: Kind, scope: str, title: str, checks: Iterable[FailedCheck], dag_id: str, run_id: str) -> Alert:
    """The alert of checks that only report; each is a cause of its own."""
    found = tuple(sorted(checks, key=lambda check: check.name))
    return Alert(
        kind=kind,
        scope=scope,
        causes=tuple(check.name for check in found),
        title=title,
        details=("Nothing was stopped.",),
        checks=found,
        dag_id=dag_id,
        run_id=run_id,
    )


def trial_alert() -> Alert:
    """A message that says that messages arrive."""
    return Alert(
        kind="test",
        scope="test",
        causes=("test",),
        title="alerts of Growth Analytics arrive here",
        details=("Nothing is wrong: somebody ran `growth alert --test`.",),
    )


def harmless_lines(error: str, label: str) -> list[str]:
    """Of an error's text, the lines that say what failed and where, and no value of the data.

    That is the first line, the lines that begin with a file of the feed ``label``, and places in those files;
    quotations and addresses are masked, and so is all that follows a place.
    """
    kept = []
    for number, line in enumerate(error.splitlines()):
        if place := PLACE.match(line):
            kept.append(f"  {place[1]}")
        elif number == 0 or (label and line.startswith(f"{label}/")):
            text = QUOTED.sub("…", line)
            kept.append(text if len(text) <= DETAIL_CHARACTERS else f"{text[:DETAIL_CHARACTERS]}…")
    more = len(kept) - DETAILS_SHOWN
    return [*kept[:DETAILS_SHOWN], f"and {more} more lines in the task's log"] if more > 0 else kept
