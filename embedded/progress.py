"""Read what ``airflow dags test`` prints and tell, in few lines, what each task does."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

START = re.compile(r"\[DAG TEST\] starting task_id=(\S+) map_index=(-?\d+)")
RUNNING = re.compile(r"\[DAG TEST\] running task <TaskInstance: (\S+?)\.(\S+) (\S+)")
END = re.compile(r"\[DAG TEST\] end task task_id=")
STATE = re.compile(r"\bnew_state=(\w+)")
STAMPED = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d) \[(\w+)\s*\] (.*)$")
SKIPPED = re.compile(r"Skipping task\..*\breason=(['\"])(.*)\1")
LOGGER = re.compile(r"\s*\[[\w.]+\]\s+(?:\w+=.*)?loc=.*$")
TRACEBACK = "Traceback (most recent call last):"
CHAINED = ("The above exception was", "During handling of the above")
EXCEPTION = re.compile(r"^(?:[\w.]*\.)?AirflowFailException: ")
UNSAID = ("Task failed with exception", "Not retried: only a lost connection is.", "Error running task")
ERROR_LINES = 60
STATE_WORDS = {"success": "done", "up_for_retry": "failed, will be tried again"}

Namer = Callable[[str, int, str], str]


def say(text: str) -> None:
    """Tell whoever waits for a run or a start."""
    print(text, file=sys.stderr, flush=True)


@dataclass(slots=True)
class Progress:
    """Follows one run line by line.

    Args:
        say: called with each line for the user.
        name: gives a mapped task's label from task id, map index and run id.
    """

    say: Callable[[str], None]
    name: Namer = field(default=lambda task, index, run: f"{task}[{index}]")
    started_count: int = 0
    failed: list[str] = field(default_factory=list)
    _task: str = ""
    _index: int = -1
    _run: str = ""
    _begin: float = 0.0
    _state: str = ""
    _reason: str = ""
    _errors: list[str] = field(default_factory=list)
    _in_error: bool = False
    _in_traceback: bool = False
    _in_exception: bool = False

    def feed(self, line: str) -> None:
        """Take the next line of output."""
        line = line.rstrip("\n")
        if match := START.search(line):
            self._task, self._index = match.group(1), int(match.group(2))
            self._state, self._begin, self._errors, self._in_error = "", time.monotonic(), [], False
            self._reason = ""
            self.started_count += 1
            self.say(f"  {self._task} ...")  # a mapped task has its label only once it runs
        elif not self._task:
            return
        elif match := RUNNING.search(line):
            self._run = match.group(3)
        elif "Task started " in line:
            self._begin = time.monotonic()  # before the first task, Airflow prepares itself
        elif END.search(line):
            self._end()
        else:
            self._inside(line)

    def _inside(self, line: str) -> None:
        match = STAMPED.match(line)
        if match:
            level, text = match.groups()
            if state := STATE.search(text):
                self._state = state.group(1)
            if skipped := SKIPPED.search(text):
                self._reason = skipped.group(2)
            self._in_error = level in ("error", "critical")
            self._in_traceback = self._in_exception = False
            if self._in_error and not any(unsaid in text for unsaid in UNSAID):
                self._errors.append(LOGGER.sub("", text))
        elif self._in_error:
            self._continue_error(line)

    def _continue_error(self, line: str) -> None:
        """A further line of an error: of a traceback only its last line is for the user."""
        if line.startswith(TRACEBACK):
            self._in_traceback = self._in_exception = True
        elif line.startswith(CHAINED) or not line.strip():
            return
        elif not self._in_traceback:
            self._add(LOGGER.sub("", line))
        elif not line.startswith(" "):
            self._in_traceback = False
            self._add(EXCEPTION.sub("", line))

    def _add(self, text: str) -> None:
        """Keep a line of an error; of an exception, what the one that wraps it repeats is kept once."""
        if not (self._in_exception and any(said.endswith(text) for said in self._errors)):
            self._errors.append(text)

    def _end(self) -> None:
        state = self._state or "failed"
        label = self.name(self._task, self._index, self._run) if self._index >= 0 else self._task
        self.say(f"  {label}: {STATE_WORDS.get(state, state)}, {time.monotonic() - self._begin:.1f} s")
        if state == "skipped" and self._reason:
            self.say(f"      {self._reason}")
        if state in ("failed", "up_for_retry"):
            for text in self._errors[:ERROR_LINES]:
                self.say(f"      {text}")
        if state == "failed":
            self.failed.append(label)
        self._task = ""
