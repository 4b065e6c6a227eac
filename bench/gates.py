"""Measure what each task of ``growth run`` costs over the sample, and what the gates add to it.

``make bench-gates`` runs it, on an embedded server in a home of its own that is removed at the end. Every round is a
first run over new files, of a project that dbt has parsed; the round whose gates took the least time is printed.
bench/README.md has the figures.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GROWTH = Path(sys.executable).parent / "growth"
# What `growth run` says at the end of each task.
ENDED = re.compile(r"^  (\S+): (\w+), ([\d.]+) s$", re.MULTILINE)
GATES = ("gate_raw", "gate_staging", "gate_dwh", "gate_mart")


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2, help="how often the sample is run (default 2)")
    rounds = [run_sample() for _ in range(max(parser.parse_args().rounds, 1))]
    print(f"{os.cpu_count()} cores; best of {len(rounds)} rounds: the one with the fastest gates\n")
    print("\n".join(table(min(rounds, key=gate_seconds))))


def run_sample() -> dict[str, float]:
    """Run the DAG once over a new sample.

    Returns:
        Seconds per task, in the order in which they ended.

    Raises:
        subprocess.CalledProcessError: the run failed.
    """
    with tempfile.TemporaryDirectory(prefix="growth-bench-") as folder:
        home, landing = Path(folder) / "home", Path(folder) / "landing"
        elsewhere = ("WAREHOUSE_", "GROWTH_", "DBT_", "AIRFLOW")  # another server, or another home
        environment = {name: value for name, value in os.environ.items() if not name.startswith(elsewhere)}
        environment |= {"GROWTH_HOME": str(home), "GROWTH_LANDING": str(landing)}
        try:
            _growth(environment, "sample", str(landing))
            # whichever dbt command comes first parses the project: a run without gates pays for that, too
            _growth(environment, "dbt", "parse", "--quiet", "--target", "prod")
            seconds = {task: float(text) for task, _, text in ENDED.findall(_growth(environment, "run"))}
        finally:
            _growth(environment, "down", "--purge")
    missing = sorted(set(GATES) - seconds.keys())
    if missing:
        raise RuntimeError(f"growth run did not say what these took: {', '.join(missing)}")
    return seconds


def gate_seconds(seconds: Mapping[str, float]) -> float:
    """What the gates took together."""
    return sum(seconds[gate] for gate in GATES)


def table(seconds: Mapping[str, float]) -> list[str]:
    """Lines of a Markdown table: each task, the gates, all tasks."""
    lines = ["| task | s |", "|---|---|", *(f"| `{task}` | {value:.1f} |" for task, value in seconds.items())]
    return [*lines, f"| the gates | {gate_seconds(seconds):.1f} |", f"| all tasks | {sum(seconds.values()):.1f} |"]


def _growth(environment: Mapping[str, str], *arguments: str) -> str:
    """Run a command; returns its standard error, where a run tells its progress."""
    done = subprocess.run(
        [GROWTH, *arguments], cwd=ROOT, env=environment, text=True, capture_output=True, stdin=subprocess.DEVNULL
    )
    sys.stderr.write(done.stderr)
    done.check_returncode()
    return done.stderr


if __name__ == "__main__":
    main()
