r"""Measure how long it takes to get one large sessions file into Postgres, as ratios to ``psql \copy``.

``make bench-load`` runs it; WAREHOUSE_HOST (and so on) names a Postgres on which the owner may create databases,
without it a throw-away server is started. All ways run in turn, in one database made for it, round after round, so that
a machine whose speed drifts hits all alike. Files and database are removed at the end. bench/README.md says what is
compared.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.database import client_environment, describe, new_database
from bench.files import FileSet
from bench.measure import Measured, ProcessFailed
from bench.ways import FEEDS, WAYS, Bench, Unavailable, Way
from ingest.contract_files import load_contracts

Rounds = Mapping[str, Mapping[int, Measured]]


def main() -> None:
    """Run as a program."""
    arguments = _arguments()
    ways = _with_references(arguments.ways)
    contract = load_contracts(FEEDS)["sessions"]
    folder = Path(tempfile.mkdtemp(prefix="growth-bench-"))
    try:
        landing = folder / "landing"
        landing.mkdir()
        with new_database() as conninfo:
            server = describe(conninfo)
            bench = Bench(conninfo, client_environment(conninfo), contract, FileSet(folder, arguments.rows), landing)
            rounds, reasons = run_rounds(bench, ways, arguments.rounds)
            megabytes = bench.files.plain().stat().st_size / 1e6
        print(f"{server}; {os.cpu_count()} cores")
        print(f"{arguments.rows:,} rows, {megabytes:.0f} MB; small file: {bench.files.small_rows:,} rows; ", end="")
        print(f"{arguments.rounds} rounds\n")
        print("\n".join(table(ways, rounds, reasons)))
    finally:
        shutil.rmtree(folder)


def run_rounds(bench: Bench, ways: Sequence[Way], count: int) -> tuple[Rounds, Mapping[str, str]]:
    """Run all ways in turn, ``count`` times.

    Returns:
        what was measured, by way and round, and why a way has no result, or not in every round.
    """
    rounds: dict[str, dict[int, Measured]] = defaultdict(dict)
    reasons: dict[str, str] = {}
    unavailable: set[str] = set()
    for number in range(1, count + 1):
        for way in ways:
            if way.name in unavailable:
                continue
            try:
                measured = rounds[way.name][number] = way.measure(bench)
                said = f"{measured.seconds:.2f} s, {measured.peak_mib:.0f} MiB"
            except Unavailable as reason:
                unavailable.add(way.name)
                said = reasons[way.name] = f"not available: {reason}"
            except ProcessFailed as reason:
                said = reasons[way.name] = f"failed: {reason}"
            print(f"round {number} of {count}: {way.name}: {said}", file=sys.stderr)
    return rounds, reasons


def table(ways: Sequence[Way], rounds: Rounds, reasons: Mapping[str, str]) -> list[str]:
    r"""Lines of a Markdown table: medians over the rounds; each ratio is of two runs of one round."""
    lines = [
        r"| way | s (median) | ÷ psql \copy (median) | of each round | peak memory, MiB |",
        "|---|---|---|---|---|",
    ]
    for way in ways:
        runs = rounds.get(way.name, {})
        references = rounds.get(way.reference, {})
        version = next((f" ({run.report['version']})" for run in runs.values() if "version" in run.report), "")
        reason = " ".join(reasons.get(way.name, "").split()).replace("|", "/")[:160]
        if not runs:
            lines.append(f"| {way.title} | {reason} | | | |")
            continue
        if reason:
            version += f"; {len(runs)} of the rounds only, the last other one {reason}"
        ratios = [run.seconds / references[number].seconds for number, run in runs.items() if number in references]
        cells = (
            f"{way.title}{version}",
            f"{statistics.median(run.seconds for run in runs.values()):.2f}",
            f"{statistics.median(ratios):.2f}" if ratios else "no reference",
            "" if way.name == way.reference else ", ".join(f"{ratio:.2f}" for ratio in ratios),
            f"{max(run.peak_mib for run in runs.values()):.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _arguments() -> argparse.Namespace:
    names = [way.name for way in WAYS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="records of the file (default 10 million)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way runs (default 3)")
    parser.add_argument("--ways", nargs="+", choices=names, default=names, metavar="WAY", help=f"of {', '.join(names)}")
    arguments = parser.parse_args()
    if arguments.rows < 1 or arguments.rounds < 1:
        parser.error("--rows and --rounds are at least 1")
    return arguments


def _with_references(names: Sequence[str]) -> list[Way]:
    """The chosen ways and those that they are compared with, in the order in which they run."""
    chosen = {name for way in WAYS if way.name in names for name in (way.name, way.reference)}
    return [way for way in WAYS if way.name in chosen]


if __name__ == "__main__":
    main()
