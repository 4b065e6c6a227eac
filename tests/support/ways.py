"""Ways to the same files: late, in pieces, over other contents, taken out and brought again, with runs in between.

What is loaded in the end is the same for every way (``final_files``); how it comes there is drawn from a seed.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from growth import ageing
from growth.cleanup import forget_removed_rows
from growth.settings import feeds_folder
from ingest.contract import Contract, Retention
from ingest.contract_files import load_contracts
from ingest.load import LARGE_FILE_BYTES, load_feed
from ingest.unload import unload
from support.feed_records import GENERATORS, Record, path_of
from support.pipeline import Pipeline

BUILDS = 3  # beside the last one; each takes seconds
RAW_DAYS = 2  # older rows leave raw after each run
STRAYS = 2  # files of each feed that are gone in the end
BROKEN = "no record"  # goes to the quarantine, where a file has enough others
BROKEN_FROM = 40

Files = dict[str, list[str]]  # path below the landing folder → lines
Step = tuple[str, Callable[[], object]]


def final_files(seed: int) -> Files:
    """The files that are loaded in the end: a day each, two for a day, an empty one, records in several files."""
    files: Files = {}
    for feed, generate in GENERATORS.items():
        draw = random.Random(f"{seed} {feed}")
        records = list(generate(draw))
        days: dict[str, list[Record]] = {}
        for record in records:
            days.setdefault(f"{record.at:%Y-%m-%d}", []).append(record)
        for day, ours in days.items():
            lines = [record.line for record in (*ours, *draw.choices(ours, k=len(ours) // 20 + 1))]
            draw.shuffle(lines)
            middle = draw.choice([0, len(lines) // 2])
            for number, part in enumerate(filter(None, (lines[:middle], lines[middle:]))):
                files[path_of(feed, day, f"{day}-{number}.csv")] = [*part, *[BROKEN] * (len(part) >= BROKEN_FROM)]
        files[path_of(feed, "2024-03-01", "again.csv")] = [
            record.line for record in draw.sample(records, len(records) // 8)
        ]
        files[path_of(feed, "2024-03-02", "empty.csv")] = []
    return files


def ageing_contracts(raw_days: int) -> dict[str, Contract]:
    """The contracts, with rows that leave raw wherever they may."""
    retention = Retention(raw_days=raw_days)
    return {
        feed: contract if contract.has_extract_date else contract.model_copy(update={"retention": retention})
        for feed, contract in load_contracts(feeds_folder()).items()
    }


@dataclass
class Way:
    """One way to the final files, from a seed; ``steps`` says what was done, for whoever must do it again."""

    pipeline: Pipeline
    seed: int
    order: int
    steps: list[str] = field(default_factory=list)
    _pending: set[str] = field(default_factory=set)  # landed, and not loaded yet

    def go(self) -> None:
        """Land, load, replace, unload and build in random order, until all final files are in the marts."""
        self._draw = random.Random(f"{self.seed} {self.order}")
        others = {feed: [record.line for record in make(self._draw)] for feed, make in GENERATORS.items()}
        final = final_files(self.seed)
        lanes = [self._lane(path, lines, others) for path, lines in final.items()]
        lanes += [
            self._stray(path_of(feed, f"2024-02-{20 + n}", f"stray-{n}.csv"), others)
            for feed in GENERATORS
            for n in range(STRAYS)
        ]
        self._draw.shuffle(lanes)
        steps = list(self._mixed([list(lane) for lane in lanes]))
        builds = sorted(self._draw.sample(range(1, len(steps)), BUILDS))
        for number, (text, do) in enumerate(steps):
            self._do(text, do)
            if number in builds:
                self._do(*self._build())
        self._do("run", self._run)

    def _do(self, text: str, do: Callable[[], object]) -> None:
        self.steps.append(text)
        do()

    def _lane(self, path: str, lines: list[str], others: Files) -> Iterator[Step]:
        """What becomes of one path, in this order; steps of other paths come in between."""
        land = self._land(path, lines)
        yield from self._draw.choice(
            (
                [land],
                [land, self._take_away(path)],
                [self._other(path, others), land],
                [land, self._other(path, others), land],
                [land, self._unload(path), land],
                [self._other(path, others), self._unload(path), land, self._take_away(path)],
            )
        )

    def _stray(self, path: str, others: Files) -> Iterator[Step]:
        yield self._other(path, others)
        yield self._draw.choice([self._unload(path), self._land(path, [])])

    def _mixed(self, lanes: list[list[Step]]) -> Iterator[Step]:
        while lanes:
            lane = self._draw.choice(lanes)
            yield lane.pop(0)
            if self._draw.randrange(3) == 0:
                yield self._load(self._draw.choice(list(GENERATORS)))
            if not lane:
                lanes.remove(lane)

    def _land(self, path: str, lines: list[str]) -> Step:
        def do() -> None:
            self.pipeline.land(*path.split("/", 1), lines)
            self._pending.add(path)

        return f"land {path}, {len(lines)} lines", do

    def _other(self, path: str, others: Files) -> Step:
        """Contents that are not to stay: partly those of nobody's file, of any day."""
        lines = others[path.split("/")[0]]
        text, do = self._land(path, self._draw.sample(lines, self._draw.randrange(1, len(lines) // 8)))
        return f"{text} that do not stay", do

    def _load(self, feed: str) -> Step:
        large = self._draw.randrange(4) == 0

        def do() -> None:
            results = load_feed(
                self.pipeline.warehouse.conninfo("ingest"),
                load_contracts(feeds_folder())[feed],
                self.pipeline.landing,
                run_id="test",
                large_file_bytes=1 if large else LARGE_FILE_BYTES,
            )
            assert not [result.error for result in results if result.error]
            self._pending = {path for path in self._pending if not path.startswith(f"{feed}/")}

        return f"load {feed}{' as large files' * large}", do

    def _loaded(self, path: str) -> None:
        if path in self._pending:
            self._do(*self._load(path.split("/")[0]))

    def _unload(self, path: str) -> Step:
        def do() -> None:
            self._loaded(path)
            (self.pipeline.landing / path).unlink(missing_ok=True)
            contract = load_contracts(feeds_folder())[path.split("/")[0]]
            unload(self.pipeline.warehouse.conninfo("ingest"), contract, path, run_id="test")

        return f"unload {path}, move it away", do

    def _take_away(self, path: str) -> Step:
        def do() -> None:
            self._loaded(path)
            (self.pipeline.landing / path).unlink()

        return f"move {path} away, loaded as it is", do

    def _build(self) -> Step:
        return self._draw.choice([("build", self._build_models), ("run", self._run), ("run twice", self._run_twice)])

    def _build_models(self) -> None:
        """Without a load."""
        ageing.bring_back(self.pipeline.warehouse, self.steps.append)
        self.pipeline.build()

    def _run(self) -> None:
        self.pipeline.load()
        self._build_models()
        self.pipeline.publish()
        forget_removed_rows(self.pipeline.warehouse)  # as the task publish_marts does
        ageing.age(self.pipeline.warehouse, self.steps.append, ageing_contracts(RAW_DAYS))
        self._pending.clear()

    def _run_twice(self) -> None:
        self._run()
        self._run()


def describe_difference(ours: dict[str, list[str]], reference: dict[str, list[str]]) -> str:
    """Which marts differ, and the first rows of each that only one of the two has; empty where none does."""
    texts = []
    for mart in sorted(ours.keys() | reference.keys()):
        here, there = ours.get(mart, []), reference.get(mart, [])
        if here != there:
            only = [f"  only here: {row}" for row in itertools.islice(sorted({*here} - {*there}), 5)]
            only += [f"  only after a full refresh: {row}" for row in itertools.islice(sorted({*there} - {*here}), 5)]
            texts.append("\n".join([f"{mart}: {len(here)} rows, after a full refresh {len(there)}", *only]))
    return "\n".join(texts)
