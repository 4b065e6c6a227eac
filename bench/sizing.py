"""Measure what a volume of files a day takes: minutes, memory and disk, of whole runs of ``growth run``.

``make bench-sizing`` runs it, on an embedded server in a home of its own that is removed at the end. Events of as many
days as are asked for land as one file a day, accounts and visits beside them; a first run takes all days but the last
one, a second run the last one: that is what a day costs. ``--days 1`` is for a volume of which there is no room for two
days: the first run takes a day of a fiftieth. bench/README.md says how, docs/sizing.md has the figures.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import psutil
import psycopg

from bench.daily import day_of, say
from bench.gates import ENDED, GATES, GROWTH, ROOT
from embedded.server import EmbeddedPostgres
from growth.settings import Warehouse
from sample_data.sample import write_sample

SEED = 1
EVENT_BYTES = 100  # of events and app_events as CSV, on average
EVENTS_PER_USER = 7  # a day
SAMPLE_SECONDS = 0.5
MB = 1_000_000
LAST_DAY = date(2024, 1, 7)  # a Sunday: on it the extracts of all accounts land, too
DAILY_FEEDS = ("events", "app_events", "app_users")
FEEDS = (*DAILY_FEEDS, "sessions", "conversions")
SCHEMAS = """
select nspname, sum(pg_total_relation_size(relation.oid))::bigint
from pg_class as relation join pg_namespace on relnamespace = pg_namespace.oid
where relkind = 'r' and nspname in ('raw', 'staging', 'dwh', 'mart_candidate', 'mart', 'mart_previous', 'dq_failures')
group by nspname
"""


@dataclass
class Peaks:
    """The most memory that the server's processes, and the others of a run, held at one moment, in bytes."""

    server: int = 0
    run: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took: by the clock, of the processors by server and others, by task, and in memory."""

    seconds: float
    server_cpu_seconds: float
    run_cpu_seconds: float
    tasks: Mapping[str, float]
    peaks: Peaks = field(default_factory=Peaks)

    def sum(self, *prefixes: str) -> float:
        """Seconds of the tasks whose names begin so."""
        return sum(seconds for task, seconds in self.tasks.items() if task.startswith(prefixes))


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=20, help="of files a day (default 20)")
    parser.add_argument(
        "--days",
        type=int,
        default=7,
        help="days that land, the measured one included (default 7); 1: after a day of a fiftieth",
    )
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where there is room for all")
    parser.add_argument("--landing", type=Path, help="where files land, if elsewhere: a folder that is not there yet")
    arguments = parser.parse_args()
    if arguments.days < 1 or arguments.megabytes < 1:
        parser.error("at least 1 day of 1 MB")
    folder = Path(tempfile.mkdtemp(prefix="growth-bench-", dir=arguments.folder))
    folder.chmod(0o755)  # the server runs as another user where we are root
    try:
        measure(folder, arguments.landing or folder / "landing", arguments.megabytes, arguments.days)
    finally:
        shutil.rmtree(folder)


def measure(folder: Path, landing: Path, megabytes: int, days: int) -> None:
    """Run twice, and print what that took."""
    sample, home = folder / "sample", folder / "home"
    landing.mkdir()
    say("writing the sample")
    write_days(sample, megabytes, days, LAST_DAY)
    if days == 1:
        before = folder / "before"
        write_days(before, max(megabytes // 50, 1), 1, LAST_DAY - timedelta(days=1))
        move([path for path in before.rglob("*") if is_of_daily_feed(path, before)], before, landing)
    elsewhere = ("WAREHOUSE_", "GROWTH_", "DBT_", "AIRFLOW")  # another server, or another home
    environment = {name: value for name, value in os.environ.items() if not name.startswith(elsewhere)}
    environment |= {"GROWTH_HOME": str(home), "GROWTH_LANDING": str(landing), "GROWTH_REPORTS": str(folder / "reports")}
    files = [path for path in sample.rglob("*") if path.is_file()]
    of_last = [path for path in files if is_of_daily_feed(path, sample) and day_of(path) == str(LAST_DAY)]
    of_day = sum(path.stat().st_size for path in of_last)
    move(set(files) - set(of_last), sample, landing)
    server = EmbeddedPostgres(home)
    try:
        # started by another process than the run, so that the memory of the two can be told apart
        subprocess.run([GROWTH, "up"], cwd=ROOT, env=environment, check=True, stdin=subprocess.DEVNULL)
        warehouse = server.start()  # which it is; this tells the passwords
        first = run(environment, server)
        sizes_before = sizes(warehouse)
        move(of_last, sample, landing)
        second = run(environment, server)
        sizes_after = sizes(warehouse)
        data_bytes = folder_bytes(server.data)
    finally:
        subprocess.run([GROWTH, "down", "--purge"], cwd=ROOT, env=environment, check=False, stdin=subprocess.DEVNULL)
        landed = folder_bytes(landing)
        shutil.rmtree(landing)
    print(f"{os.cpu_count()} cores; {megabytes} MB a day asked for")
    print(f"files: {landed / MB:,.0f} MB in all, {of_day / MB:,.1f} MB of the last one")
    for what, taken in (("first run", first), ("run of the last day", second)):
        show(what, taken, landed - of_day if taken is first else of_day)
    print("disk, MB: schema, all, of the last day")
    for schema in sorted(sizes_after, key=lambda each: -sizes_after[each]):
        grown = sizes_after[schema] - sizes_before.get(schema, 0)
        print(f"    {schema:<16} {sizes_after[schema] / MB:10,.0f} {grown / MB:10,.1f}")
    total = sum(sizes_after.values())
    print(f"    tables {total / MB:,.0f} MB, {total / landed:.2f} times the files")
    print(f"    data folder with the write-ahead log and what deleted rows left {data_bytes / MB:,.0f} MB")


def write_days(sample: Path, megabytes: int, days: int, last_day: date) -> None:
    """Write twice the days: of app_events the second half is Parquet, and CSV is what is measured."""
    events = megabytes * MB // EVENT_BYTES
    write_sample(
        sample, users=max(events // EVENTS_PER_USER, 1000), days=2 * days, seed=SEED, events=events * 2 * days,
        start=last_day - timedelta(days=days - 1), feeds=FEEDS, lead_days=0, is_daily=True,
    )  # fmt: skip
    for path in sample.rglob("*"):
        if path.is_file() and day_of(path) > str(last_day):
            path.unlink()


def is_of_daily_feed(path: Path, sample: Path) -> bool:
    """Whether it is a file of a feed of which the sample has one a day."""
    return path.is_file() and path.relative_to(sample).parts[0] in DAILY_FEEDS


def move(files: Iterable[Path], sample: Path, landing: Path) -> None:
    """Let files of the sample land."""
    for path in files:
        target = landing / path.relative_to(sample)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)


def run(environment: Mapping[str, str], server: EmbeddedPostgres) -> Run:
    """Run the DAG once.

    Raises:
        RuntimeError: the run failed, or did not say what its tasks took.
    """
    postmaster = server.status().pid or 0
    started, server_before, run_before = time.monotonic(), cpu_of_server(postmaster), cpu_of_children()
    with (
        subprocess.Popen(
            [GROWTH, "run"], cwd=ROOT, env=environment, text=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process,
        watched(postmaster, process.pid) as peaks,
    ):
        assert process.stderr is not None
        said = process.stderr.read()
        process.wait()
    seconds = time.monotonic() - started
    sys.stderr.write(said)
    tasks = {task: float(text) for task, _, text in ENDED.findall(said)}
    if process.returncode or not set(GATES) <= tasks.keys():
        raise RuntimeError(f"growth run ended with {process.returncode}, and told of {', '.join(tasks) or 'no task'}")
    return Run(seconds, cpu_of_server(postmaster) - server_before, cpu_of_children() - run_before, tasks, peaks)


def cpu_of_server(postmaster: int) -> float:
    """Processor time of the server's processes so far, those that have ended included."""
    process = psutil.Process(postmaster)
    total = sum(process.cpu_times()[:4])  # its own, and that of its children that have ended
    for child in process.children():
        with suppress(psutil.Error):
            total += sum(child.cpu_times()[:2])
    return total


def cpu_of_children() -> float:
    """Processor time of our children that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def watched(server: int, process: int) -> Iterator[Peaks]:
    """Note the most memory that the processes below these two hold, for as long as the context lasts."""
    peaks, done = Peaks(), threading.Event()

    def look() -> None:
        while not done.wait(SAMPLE_SECONDS):
            peaks.server = max(peaks.server, resident(server))
            peaks.run = max(peaks.run, resident(process))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peaks
    finally:
        done.set()
        thread.join()


def resident(pid: int) -> int:
    """Memory of a process and those below it; what they share counts once, where the system tells (Linux)."""
    total = 0
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.Error):
                info = process.memory_full_info()
                total += getattr(info, "pss", info.rss)
    return total


def sizes(warehouse: Warehouse) -> dict[str, int]:
    """Bytes of each schema's tables with their indexes."""
    with psycopg.connect(warehouse.conninfo()) as conn:
        return dict(conn.execute(SCHEMAS).fetchall())


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # a file of the server that went away
            total += path.stat().st_size if path.is_file() else 0
    return total


def show(what: str, taken: Run, of_bytes: int) -> None:
    """Print a run."""
    loads, gates = taken.sum("load_feed"), taken.sum("gate_")
    builds = taken.sum("run_", "publish_")
    speed = of_bytes / MB / max(loads, 0.1)
    print(f"{what}: {taken.seconds / 60:.1f} min by the clock")
    print(f"    processors: server {taken.server_cpu_seconds:.0f} s, run {taken.run_cpu_seconds:.0f} s")
    print(f"    load {loads:.1f} s ({speed:.0f} MB/s), models and publication {builds:.1f} s, gates {gates:.1f} s")
    server, others = taken.peaks.server / 2**20, taken.peaks.run / 2**20
    print(f"    memory at most: server {server:,.0f} MiB, run {others:,.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
