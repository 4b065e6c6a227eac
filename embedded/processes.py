"""Look at processes and stop them, by id; a zombie counts as gone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

import psutil

POLL_SECONDS = 0.02


def living(pid: int) -> psutil.Process | None:
    """The process of this id; None where it is gone or a zombie that nobody has waited for."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except (psutil.NoSuchProcess, ValueError):
        return None
    except psutil.AccessDenied:
        return process


def alive(process: psutil.Process) -> bool:
    """Whether this very process (not another with its id) still runs."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def wait_until(condition: Callable[[], bool], timeout_seconds: float) -> bool:
    """Poll a condition until it holds (True) or the time is over (False)."""
    end = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(POLL_SECONDS)
    return True


def stop_all(processes: Iterable[psutil.Process], first: int, timeout_seconds: float, last: int) -> bool:
    """Send each process a signal, and those that outlive the time another; returns whether all are gone.

    Args:
        processes: the processes.
        first: signal that asks, such as SIGTERM.
        timeout_seconds: how long they may take.
        last: signal that insists, such as SIGKILL; they get five more seconds.
    """
    remaining = [process for process in processes if alive(process)]
    for number, seconds in ((first, timeout_seconds), (last, 5.0)):
        for process in remaining:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        wait_until(lambda waiting=remaining: not any(map(alive, waiting)), seconds)  # type: ignore[misc]
        remaining = [process for process in remaining if alive(process)]
        if not remaining:
            return True
    return False


def with_environment(name: str, value: str) -> list[psutil.Process]:
    """Processes, other than this one, that were started with a variable set to a value."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and alive(process) and process.environ().get(name) == value:
                found.append(process)
        except (psutil.Error, OSError):  # another user's, or just gone
            continue
    return found
