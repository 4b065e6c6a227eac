"""What leaves raw for files by the contracts' ``retention.raw_days``, and what comes back before models are built.

A model reads the rows of the days that changed, whole, and asks whose the rows of new loads are. So a load may leave
when every model has seen it and none waits for one of its days; and what is in a file comes back when a load touches
one of its days, or a model is built from nothing. Who needs what is asked of ``dwh._consumed_loads``, as models do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import psycopg

from growth import parsing
from growth.settings import Warehouse, cold_folder, feeds_folder
from ingest import cold, cold_files
from ingest.contract import Contract
from ingest.contract_files import load_contracts
from ingest.errors import IngestError

# Loads that a reader waits for, and all with rows of one of their days in a feed that it reads. A reader without a
# model is a gate: new to it is what no model of the feed's domain has seen, or no model at all where it has none.
NEEDED = """
with readers as (
    select * from unnest(%(readers)s::text[], %(models)s::text[], %(feeds)s::text[]) as readers (reader, model, feed)
),

own as (select * from unnest(%(own_feeds)s::text[], %(own_models)s::text[]) as own (feed, model)),

consumed as (
    select model, load_id from dwh._consumed_loads
    union all
    select distinct '', consumed.load_id
    from dwh._consumed_loads as consumed
    inner join raw._loads as loads on consumed.load_id = loads.load_id
    where
        exists (select from own where own.feed = loads.feed and own.model = consumed.model)
        or not exists (select from own where own.feed = loads.feed)
),

pending as (
    select readers.reader, loads.load_id
    from readers
    inner join raw._loads as loads on readers.feed = loads.feed
    left join consumed on readers.model = consumed.model and loads.load_id = consumed.load_id
    where loads.status <> 'refused' and consumed.load_id is null
),

days as (
    select distinct pending.reader, changed.event_date
    from pending
    inner join raw._changed_days as changed on pending.load_id = changed.load_id
)

select distinct changed.load_id
from readers
inner join days on readers.reader = days.reader
inner join raw._changed_days as changed on readers.feed = changed.feed and days.event_date = changed.event_date
union
select load_id from pending
"""
STATE = "select to_regclass('dwh._consumed_loads') is not null"


@dataclass(frozen=True, slots=True)
class Reader:
    """A model, with the feeds whose changes it follows; or a gate, which has no model's name, of one feed."""

    name: str
    model: str
    feeds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stay:
    """Loads of a feed that should have left raw, and what kept them."""

    feed: str
    load_count: int
    reason: str


def age(
    warehouse: Warehouse, say: Callable[[str], None], contracts: Mapping[str, Contract] | None = None
) -> list[Stay]:
    """Move old loads out of raw, as the contracts say; to be called when models and marts are built and published.

    Whatever keeps a load from leaving is said, and no reason to fail: it is still in raw, and goes another time.

    Args:
        warehouse: where.
        say: told what is done.
        contracts: None: those of the feeds folder.

    Returns:
        The feeds that kept loads which should have left.

    Raises:
        psycopg.Error: the warehouse cannot be asked.
    """
    contracts = load_contracts(feeds_folder()) if contracts is None else contracts
    conninfo, folder = warehouse.conninfo("ingest"), cold_folder()
    stays = []
    with cold.alone(conninfo):
        _sweep(conninfo, folder, say)
        if not any(contract.raw_days for contract in contracts.values()):
            return []
        nodes = _nodes()
        needed = _needed(warehouse, [*_gates(contracts), *_models(nodes)], _own_models(contracts, nodes))
        if needed is None or not nodes:
            return []
        for contract in contracts.values():
            if contract.raw_days is None:
                continue
            whole = _whole_readers(nodes, contract.feed)
            stays.append(_age_feed(warehouse, contract, needed, whole, say))
        _sweep(conninfo, folder, say)
    return [stay for stay in stays if stay]


def bring_back(
    warehouse: Warehouse,
    say: Callable[[str], None],
    *,
    full_refresh: bool = False,
    gates_only: bool = False,
    domains: Collection[str] = (),
) -> None:
    """Bring back the rows that are needed next; all of their files are looked at before any row is moved.

    Args:
        warehouse: where.
        say: told what is done.
        full_refresh: models are built from nothing: everything is needed.
        domains: only feeds of these, if any is named.
        gates_only: what gates raw and staging judge, and not what models read.

    Raises:
        ColdFileBroken: one of their files is missing, or damaged.
    """
    with psycopg.connect(warehouse.conninfo("ingest")) as conn:
        if not cold.cold_loads(conn):
            return
    contracts = load_contracts(feeds_folder())
    with cold.alone(warehouse.conninfo("ingest")):
        needed = None
        if not full_refresh:
            nodes = _nodes()
            readers = [*_gates(contracts), *([] if gates_only else _models(nodes))]
            needed = _needed(warehouse, readers, _own_models(contracts, nodes))
        ours = {feed: each for feed, each in contracts.items() if not domains or each.domain in domains}
        thaw(warehouse, say, lambda load: needed is None or load.load_id in needed, ours)


def thaw(
    warehouse: Warehouse,
    say: Callable[[str], None],
    is_wanted: Callable[[cold_files.ColdLoad], bool],
    contracts: Mapping[str, Contract],
) -> int:
    """Bring back the loads that are wanted; the caller is ``cold.alone``.

    Returns:
        How many rows came back.

    Raises:
        ColdFileBroken: one of their files is missing, or damaged.
    """
    conninfo, folder = warehouse.conninfo("ingest"), cold_folder()
    with psycopg.connect(conninfo) as conn:
        loads = [load for load in cold.cold_loads(conn) if load.feed in contracts and is_wanted(load)]
    cold_files.check(loads, folder)
    total = 0
    for feed, group in groupby(sorted(loads, key=attrgetter("feed", "load_id")), key=attrgetter("feed")):
        ours = list(group)
        days = f"{min(load.first_date for load in ours)} to {max(load.last_date for load in ours)}"
        say(f"{feed}: bringing back {len(ours)} loads of {days} ...")
        count = cold.thaw(conninfo, contracts[feed], ours, folder)
        say(f"{feed}: {count:,} rows are in raw again")
        total += count
    return total


def _age_feed(
    warehouse: Warehouse,
    contract: Contract,
    needed: Collection[int],
    whole_readers: Sequence[str],
    say: Callable[[str], None],
) -> Stay | None:
    conninfo, feed, done = warehouse.conninfo("ingest"), contract.feed, 0
    assert contract.raw_days is not None
    old: list[int] = []
    aged: list[cold_files.ColdLoad] = []
    try:
        with psycopg.connect(conninfo) as conn:
            old = [load for load in cold.old_loads(conn, feed, contract.raw_days) if load not in needed]
        if whole_readers:
            reason = f"each build of {', '.join(whole_readers)} reads all of them"
            say(f"{feed}: its rows stay in raw, since {reason}")
            return Stay(feed, len(old), reason) if old else None
        try:
            for load_id in old:
                if (load := cold.age(conninfo, contract, load_id, cold_folder())) is not None:
                    aged.append(load)
                done += 1
                if done % 100 == 0:
                    say(f"{feed}: {done} of {len(old)} old loads are looked at")
        finally:
            if aged:
                gone = sum(load.row_count for load in aged)
                days = f"{min(load.first_date for load in aged)} to {max(load.last_date for load in aged)}"
                say(f"{feed}: {gone:,} rows of {days}, {len(aged)} loads, left raw for {cold_folder()}")
                cold.vacuum(conninfo, contract, gone)
    except (IngestError, OSError, psycopg.Error) as error:
        say(f"{feed}: old rows stay in raw: {error}")
        return Stay(feed, len(old) - done, str(error).partition("\n")[0])
    return None


def _sweep(conninfo: str, folder: Path, say: Callable[[str], None]) -> None:
    try:
        cold.sweep(conninfo, folder)
    except OSError as error:
        say(f"files of no use stay in {folder}: {error}")


def _needed(warehouse: Warehouse, readers: Sequence[Reader], own: Sequence[tuple[str, str]]) -> set[int] | None:
    """Loads whose rows have to be in raw; None: all, since no model was ever built."""
    pairs = [(reader, feed) for reader in readers for feed in reader.feeds]
    parameters = {
        "own_feeds": [feed for feed, _ in own],
        "own_models": [model for _, model in own],
        "readers": [reader.name for reader, _ in pairs],
        "models": [reader.model for reader, _ in pairs],
        "feeds": [feed for _, feed in pairs],
    }
    with psycopg.connect(warehouse.conninfo("transform")) as conn:
        if conn.execute(STATE).fetchone() != (True,):
            return None
        return {load_id for (load_id,) in conn.execute(NEEDED, parameters)}


def _gates(contracts: Iterable[str]) -> list[Reader]:
    return [Reader(f"gate of {feed}", "", (feed,)) for feed in contracts]


def _own_models(contracts: Mapping[str, Contract], nodes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Feeds, each with the models of its domain."""
    return [
        (feed, node["name"])
        for feed, contract in contracts.items()
        for node in nodes.values()
        if contract.domain in node["tags"]
    ]


def _models(nodes: Mapping[str, Any]) -> list[Reader]:
    """Every model that follows changes of feeds (meta.feeds)."""
    return [
        Reader(node["name"], node["name"], tuple(feeds))
        for node in nodes.values()
        if (feeds := (node["config"].get("meta") or {}).get("feeds"))
    ]


def _nodes() -> dict[str, Any]:
    """The models and snapshots of the project, as dbt parsed it last; none where it did not yet."""
    nodes = (parsing.manifest() or {"nodes": {}})["nodes"]
    return {name: node for name, node in nodes.items() if node["resource_type"] in ("model", "snapshot")}


def _whole_readers(nodes: Mapping[str, Any], feed: str) -> list[str]:
    """Models that read a feed and are not rebuilt by its changes alone."""

    def reads(name: str) -> bool:
        parents = nodes[name]["depends_on"]["nodes"]
        if any(each.startswith("source.") and each.endswith(f".{feed}") for each in parents):
            return True
        return any(each in nodes and _is_view(nodes[each]) and reads(each) for each in parents)

    return sorted(
        node["name"] for name, node in nodes.items() if not _is_view(node) and reads(name) and not _follows(node, feed)
    )


def _is_view(node: Mapping[str, Any]) -> bool:
    return node["config"].get("materialized") in ("view", "ephemeral")


def _follows(node: Mapping[str, Any], feed: str) -> bool:
    feeds = (node["config"].get("meta") or {}).get("feeds") or ()
    return node["config"].get("materialized") == "incremental" and feed in feeds
