"""The commands ``growth rejects``: look at the quarantine, take records out of it, try them again."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import click
import psycopg

from growth import console, table
from growth.console import connect, feeds_option, landed_path, prepared, say
from growth.settings import feeds_folder
from growth.status import refused_files
from ingest import quarantine
from ingest.contract import Contract
from ingest.contract_files import load_contracts
from ingest.errors import NothingLoaded
from ingest.names import unknown_names

SHOWN_CHARACTERS = 200
HEADERS = ("file", "reason", "column", "records", "first line", "first message")


@click.group()
def rejects() -> None:
    """Records that were refused: list, show, export, replay and discard them."""


@rejects.command(name="list")
@feeds_option("Count only records of these feeds.")
@click.option("--format", "style", type=click.Choice(table.STYLES), default="table", show_default=True)
def list_rejects(feeds: list[str], style: str) -> None:
    """Count what is in quarantine, by file, reason and column."""
    with psycopg.connect(prepared().conninfo("ingest")) as conn:
        summaries = quarantine.summarise(conn, feeds or list(load_contracts(feeds_folder())))
        refused = refused_files(conn)
    if not summaries:
        say("The quarantine is empty.")
        if refused:
            say(f"Files that were refused whole, {len(refused)} of them, have no record in it: see `growth status`.")
        return
    rows = [
        (s.source_file, s.reason, s.column_name, s.record_count, s.first_line_number, s.first_message)
        for s in summaries
    ]
    click.echo(table.render(HEADERS, rows, style), nl=False)


@rejects.command()
@click.argument("path", callback=landed_path)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="Records to show.")
@click.option("--format", "style", type=click.Choice(table.STYLES), default="table", show_default=True)
def show(path: str, limit: int, style: str) -> None:
    """Show the refused records of the file at PATH (below the landing folder) with their lines and reasons."""
    with psycopg.connect(prepared().conninfo("ingest")) as conn:
        found = list(islice(quarantine.rejects_of(conn, path), limit + 1))
        refused = refused_files(conn)
    if not found:
        contract_of(path)  # a feed whose contract is gone may still have records; a slip has none
        say(f"{path}: {'refused whole, see `growth status`' if path in refused else 'nothing in quarantine'}")
        return
    # what is no UTF-8 is shown as \xNN
    width = SHOWN_CHARACTERS if style == "table" else None
    rows = [(r.line_number, r.column_name, r.reason, r.message, _shown(r.record, width)) for r in found[:limit]]
    click.echo(table.render(("line", "column", "reason", "message", "record"), rows, style), nl=False)
    if len(found) > limit:
        say(f"These are the first {limit:,}; more with --limit, all of them with: growth rejects export {path}")


@rejects.command()
@click.argument("path", callback=landed_path)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else standard output.")
def export(path: str, output: Path | None) -> None:
    """Write the refused records of the file at PATH as a CSV with its header, to be corrected and landed again.

    Land the corrected file under a new name: the old one's good records are in raw already.
    """
    contract = contract_of(path)
    with psycopg.connect(prepared().conninfo("ingest")) as conn:
        content = b"".join(quarantine.export(conn, contract, path))
    if output is None:
        sys.stdout.buffer.write(content)
    else:
        try:
            with output.open("xb") as file:
                file.write(content)
        except FileExistsError:
            raise click.ClickException(f"{output} is there already: name another file, or remove it") from None
        say(f"{output}: {len(content):,} bytes; when they are landed: growth rejects discard {path}")


@rejects.command()
@click.argument("path", callback=landed_path)
def discard(path: str) -> None:
    """Say that the refused records of the file at PATH are dealt with: corrected and landed, or not wanted."""
    with psycopg.connect(connect().conninfo("ingest")) as conn:
        count = quarantine.discard(conn, path)
    if not count:
        contract_of(path)
    say(f"{path}: {count:,} records taken off the quarantine")


@rejects.command()
@click.argument("path", required=False, callback=landed_path)
@feeds_option("Try only records of these feeds.")
def replay(path: str | None, feeds: list[str]) -> None:
    """Try the refused records again, under the contracts as they are now; what loads leaves the quarantine.

    Those of the file at PATH, else of --feeds, else all. Exits 1 when records stay there.
    """
    warehouse = prepared()
    contracts = load_contracts(feeds_folder())
    run_id = console.run_id("replay")
    chosen = [contract_of(path).feed] if path else feeds or list(contracts)
    done = [
        result
        for feed in chosen
        for result in quarantine.replay(warehouse.conninfo("ingest"), contracts[feed], run_id=run_id, source_file=path)
    ]
    if not done:
        say("The quarantine holds nothing to replay.")
    for result in done:
        say(f"{result.source_file}: {result.loaded_count:,} loaded, {result.rejected_count:,} stay in quarantine")
    if any(result.rejected_count for result in done):
        sys.exit(1)


def contract_of(path: str) -> Contract:
    """Contract of the feed that a path below the landing folder belongs to."""
    contracts = load_contracts(feeds_folder())
    feed = path.split("/", 1)[0]
    if fault := unknown_names("feed", [feed], contracts):
        raise NothingLoaded(f"{path}: {fault}")
    return contracts[feed]


def _shown(record: bytes, width: int | None) -> str:
    text = record.decode("utf-8", "backslashreplace")
    text = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
    return text if width is None or len(text) <= width else f"{text[:width]}… ({len(record):,} bytes)"
