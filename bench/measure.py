"""Run processes, and tell how long they took and how much memory they held."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_SECONDS = 0.02
MIB = 1 << 20


class ProcessFailed(Exception):
    """A process ended with an error; the text is the end of what it wrote."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one way's processes.

    ``seconds`` is what the process itself reports of its work (a Python process: without start-up and imports), else
    from start to end. ``peak_mib`` is the most resident memory that each process held, added up over the processes.
    ``report`` is the JSON object that a Python process writes as its last line.
    """

    seconds: float
    peak_mib: float
    report: Mapping[str, Any] = field(default_factory=dict)


def run(commands: Sequence[Sequence[str]], environment: Mapping[str, str]) -> Measured:
    """Run commands side by side until all have ended.

    Raises:
        ProcessFailed: one of them ended with an error.
    """
    peaks: dict[int, int] = {}
    done = threading.Event()
    with ExitStack() as stack:
        outputs = [stack.enter_context(tempfile.TemporaryFile()) for _ in commands]
        started = time.monotonic()
        processes = [_start(command, environment, output) for command, output in zip(commands, outputs, strict=True)]
        sampler = threading.Thread(target=_sample, args=([process.pid for process in processes], peaks, done))
        sampler.start()
        usages = {process.pid: _wait(process) for process in processes}
        seconds = time.monotonic() - started
        done.set()
        sampler.join()
        texts = [_text(output) for output in outputs]
    for process, text in zip(processes, texts, strict=True):
        if process.returncode != 0:
            raise ProcessFailed(" ".join(text.splitlines()[-1:]) or f"ended with status {process.returncode}")
    report = _report(texts[0])
    peak = sum(peaks.values() if peaks else usages.values())
    return Measured(float(report.get("seconds", seconds)), peak / MIB, report)


def _start(command: Sequence[str], environment: Mapping[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
    )


def _text(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode("utf-8", "replace").strip()


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process to end; its peak memory in bytes as the system counts it (used where there is no /proc)."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _report(text: str) -> dict[str, Any]:
    with suppress(ValueError, IndexError):
        report = json.loads(text.splitlines()[-1])
        if isinstance(report, dict):
            return report
    return {}


def _sample(pids: Sequence[int], peaks: dict[int, int], done: threading.Event) -> None:
    """Note the peak memory of processes and of those that they start, until told to stop.

    Read from /proc: what ``wait4`` says of a process includes what its parent held when it was started.
    """
    while not done.wait(SAMPLE_SECONDS):
        for pid in _with_descendants(pids):
            with suppress(OSError, StopIteration):
                lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
                peaks[pid] = int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024


def _with_descendants(pids: Sequence[int]) -> Iterator[int]:
    for pid in pids:
        yield pid
        children: list[int] = []
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            with suppress(OSError):
                children += map(int, path.read_text(encoding="ascii").split())
        yield from _with_descendants(children)
