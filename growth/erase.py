"""The command ``growth erase``: take people out of everything that the warehouse and its files hold of them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import TextIO

import click
import psycopg

from growth import ageing, console, people, people_files, table
from growth.console import prepared, say
from growth.people import KEPT_FAILURES, ROLLBACK_COPIES, People, Place
from growth.settings import Warehouse, cold_folder, feeds_folder
from growth.turns import no_run_beside
from ingest import cold, cold_files, erasure
from ingest.contract_files import load_contracts
from ingest.names import unknown_names
from ingest.standstill import standstill
from ingest.tombstones import SPACE

HEADERS = ("where", "rows")
MARTS = r"(^|_)(mart|mart_candidate)$"
DWH = "^dwh$"
EVERYWHERE = "^(?!(dwh|mart|mart_candidate)$)"
# Exit codes: 1, the warehouse still holds them; 3, only delivered files do.
FILES_HOLD_THEM = 3


@click.command()
@click.option("--identity", required=True, help="Whose ids these are, as the contracts name it (identity).")
@click.option("--user", "users", multiple=True, help="Id of a person; may be given several times.")
@click.option("--users-from", type=click.File("r"), help="File of ids, one a line; - is standard input.")
@click.option("--dry-run", is_flag=True, help="Only show what is there of them; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(identity: str, users: Sequence[str], users_from: TextIO | None, dry_run: bool, yes: bool) -> None:
    """Erase people: from raw, quarantine, dwh, snapshots, marts, what is kept beside them, and our own logs.

    A salted hash of each id keeps a file that is landed again from bringing them back. Delivered files are not touched
    but named; while there are any, the exit code is 3. It is 1 while the warehouse still holds something, or has rows
    of a feed without contract: the same command again goes on where this one stopped. See
    docs/runbooks/erase-a-person.md.
    """
    who = _people(identity, [*users, *(users_from or ())])
    warehouse = prepared()
    found = _found(warehouse, who)
    click.echo(_shown(found), nl=False)
    _tell_strangers(warehouse, who, found)
    if dry_run:
        retired, unknown = _retired(warehouse)
        _tell_retired(unknown)
        _tell_unsearched(warehouse, who)
        sys.exit(_name_files(who, retired))
    if not yes:
        click.confirm(f"Erase {len(who.users)} ids of {identity}? There is no way back.", abort=True, err=True)
    run_id = console.run_id("erase")
    with no_run_beside(warehouse):
        _erase(warehouse, who, run_id, is_known=bool(found))
        left = _rebuild(warehouse, run_id) if found else ""
        if not left:
            _finish(warehouse, who)
    people.vacuum(warehouse)
    changed = people_files.write_over(who)
    if changed:
        say(f"Ids were written over in {len(changed)} logs, reports and results of dbt.")
    if left:
        say(f"{left}\nMend that, then repeat the command: it goes on from here, and dwh still holds them.")
        sys.exit(1)
    if remaining := _found(warehouse, who):
        say(_shown(remaining))
        if any(place.is_sure for place in remaining):
            say("These tables still hold them and are not ours to change: see to them, then repeat the command.")
            sys.exit(1)
        say("These tables hold a text like one of the ids; whether it is the person, only you can tell.")
    _tell_unsearched(warehouse, who)
    retired, unknown = _retired(warehouse)
    if unknown:
        _tell_retired(unknown)
        sys.exit(1)
    erasure.complete(warehouse.conninfo("ingest"), who.contracts, who.users)
    if found:
        say("They are erased: the warehouse holds nothing of them. Backups of before still do.")
    else:
        say("There was nothing of them to erase. What a later file has of these ids is kept out.")
    sys.exit(_name_files(who, retired))


def _people(identity: str, texts: Sequence[str]) -> People:
    contracts = load_contracts(feeds_folder())
    feeds = erasure.feeds_of(contracts, identity)
    identities = sorted({each.user_identity for each in contracts.values() if each.user is not None})
    if not feeds:
        raise click.BadParameter(unknown_names("identity", [identity], identities), param_hint="--identity")
    ids = tuple(filter(None, (text.strip(SPACE) for text in texts)))
    if not ids:
        raise click.UsageError("Name at least one person: --user or --users-from.")
    users = tuple(dict.fromkeys(spelling for each in ids for spelling in erasure.spellings(feeds, each)))
    if added := [user for user in users if user not in ids]:
        say(
            "Feeds of integers have ids without leading zeros and signs, so these are looked for, too: "
            + ", ".join(added)
        )
    return People(identity, users, tuple(feeds), is_only=identities == [identity])


def _found(warehouse: Warehouse, who: People) -> list[Place]:
    """What there is of them in the warehouse, schema raw first."""
    places = []
    with psycopg.connect(warehouse.conninfo("ingest")) as conn:
        for contract in who.contracts:
            there = erasure.count(conn, contract, who.users)
            places += [
                Place(f"raw.{contract.feed}", there.row_count),
                Place(f"raw._removed_{contract.feed}", there.removed_count),
                Place(f"raw._rejects ({contract.feed})", there.reject_count),
            ]
        places += [Place(f"{cold_folder() / load.path}", count) for load, count in _cold(conn, who)]
    with people.connect(warehouse) as conn:
        return [*(place for place in places if place.row_count), *people.find(conn, who)]


def _tell_strangers(warehouse: Warehouse, who: People, found: Sequence[Place]) -> None:
    """Say of which ids there is nothing: one that is misspelled would leave the person where they are."""
    if not found:
        say("Nothing of them is there. Are the ids written as the files have them?")
        return
    with psycopg.connect(warehouse.conninfo("ingest")) as conn:
        known = erasure.with_rows(conn, who.contracts, who.users)
    if strangers := [user for user in who.users if known.isdisjoint(erasure.spellings(who.contracts, user))]:
        say(f"Raw has no rows of these ids. Are they written as the files have them? {', '.join(strangers)}")


def _tell_unsearched(warehouse: Warehouse, who: People) -> None:
    if names := people.unsearched(warehouse, who):
        say(
            f"Role {warehouse.user} may not read these tables, so nobody was looked for there: {', '.join(names)}."
            " See to them yourself, or let the role read them and repeat the command."
        )


def _cold(conn: psycopg.Connection, who: People) -> list[tuple[cold_files.ColdLoad, int]]:
    """The loads of the people's feeds whose rows left raw for files, with how many of them are theirs."""
    columns = {contract.feed: str(contract.user) for contract in who.contracts}
    loads = [load for load in cold.cold_loads(conn) if load.feed in columns]
    cold_files.check(loads, cold_folder())
    return [(load, cold_files.rows_of(load, columns[load.feed], who.users, cold_folder())) for load in loads]


def _retired(warehouse: Warehouse) -> tuple[list[str], list[Place]]:
    """The feeds without contract; and where there still is something of them."""
    with psycopg.connect(warehouse.conninfo("ingest")) as conn:
        feeds = erasure.retired_feeds(conn, load_contracts(feeds_folder()))
        places = [Place(name, count) for feed in feeds for name, count in erasure.count_retired(conn, feed).items()]
    return feeds, places


def _tell_retired(unknown: Sequence[Place]) -> None:
    if unknown:
        say(
            f"{_shown(unknown)}These are of feeds without contract: whether they hold them, nothing says, and they were"
            " not touched. Bring the contract back and repeat the command; or drop what there is of the feed"
            " (docs/runbooks/erase-a-person.md)."
        )


def _erase(warehouse: Warehouse, who: People, run_id: str, *, is_known: bool) -> None:
    """Everything that no run takes out, and raw, from which the rest follows."""
    conninfo = warehouse.conninfo("ingest")
    with cold.alone(conninfo):
        with psycopg.connect(conninfo) as conn:
            theirs = {load.load_id for load, count in _cold(conn, who) if count}
        contracts = {contract.feed: contract for contract in who.contracts}
        ageing.thaw(warehouse, say, lambda load: load.load_id in theirs, contracts)
        cold.sweep(conninfo, cold_folder())  # files of rows that are in raw
        erased = erasure.erase(conninfo, who.contracts, who.users, run_id=run_id)
    rows, rejects = sum(each.row_count for each in erased), sum(each.reject_count for each in erased)
    say(f"raw: {rows:,} rows and {rejects:,} refused records are erased")
    # Published rows at once: should a gate stop what follows, nobody reads them meanwhile.
    for place in people.erase(warehouse, who, MARTS, only_sure=False):
        say(f"{place.table}: {place.row_count:,} rows are erased")
    kept = {"kept failures": KEPT_FAILURES} | ({"rollback copies": ROLLBACK_COPIES} if is_known else {})
    for what, schemas in kept.items():
        if dropped := people.drop_kept(warehouse, schemas):
            say(f"{what}: {len(dropped)} tables are dropped")
    for place in people.erase_messages(warehouse, who):
        say(f"{place.table}: {place.row_count:,} rows that quote an id are erased")


def _rebuild(warehouse: Warehouse, run_id: str) -> str:
    """Build, judge and publish what follows from raw, as a run does; why not, where that failed."""
    from growth import dbt
    from growth.cleanup import forget_removed_rows
    from growth.gate_results import run_gate
    from growth.publish import publish

    # what dbt says is no result of ours
    with contextlib.redirect_stdout(sys.stderr), standstill(warehouse.conninfo("transform")):
        for layer in ("raw", *dbt.LAYERS):
            if layer != "raw":
                say(f"Building {layer}")
                built = dbt.run_layer(layer, warehouse)
                if not built.succeeded:
                    return f"Layer {layer} failed: {built.reason}"
            gate = run_gate(layer, warehouse, run_id)
            if not gate.succeeded:
                return f"Gate {layer} failed: {gate.reason}"
    publication = publish(warehouse, run_id, dbt.mart_names())
    say(f"Published: {sum(publication.changed_counts.values()):,} rows changed")
    people.drop_kept(warehouse, ROLLBACK_COPIES)  # of the marts that counted them
    forget_removed_rows(warehouse)
    return ""


def _finish(warehouse: Warehouse, who: People) -> None:
    """What models needed to follow, and what they leave."""
    erasure.forget_markers(warehouse.conninfo("ingest"), who.contracts, who.users)
    people.erase(warehouse, who, DWH, only_sure=True)  # keys, and tables of models that are no more
    for place in people.erase(warehouse, who, EVERYWHERE, only_sure=False):
        say(
            f"{place.table}: {place.row_count:,} rows are erased; counts that hold them are for its owner to build anew"
        )


def _shown(places: Sequence[Place]) -> str:
    return table.render(HEADERS, [(place.table, place.row_count) for place in places] or [("(nowhere)", 0)])


def _name_files(who: People, retired: Sequence[str]) -> int:
    """Name the delivered files that hold them; the exit code."""
    holding = people_files.delivered(who, retired)
    for each in holding:
        click.echo(
            f"{each.path}{'' if each.is_sure else '  (no file of its feed: it has the text of an id, or is packed)'}"
        )
    if holding:
        say(
            f"{len(holding)} delivered files hold them. Delete these files, or have them delivered without the person."
            " Loading them again does not bring anybody back."
        )
    return FILES_HOLD_THEM if holding else 0
