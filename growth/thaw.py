"""The command ``growth thaw``: bring back rows that left raw by ``retention.raw_days``, before their time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import click
import psycopg

from growth import ageing, console
from growth.console import connect, say
from growth.settings import Warehouse, cold_folder, feeds_folder
from ingest import cold, cold_files
from ingest.contract import Contract
from ingest.contract_files import load_contracts
from ingest.names import unknown_names
from ingest.standstill import standstill


@click.command()
@click.argument("feeds", nargs=-1, metavar="[FEED]...")
@click.option("--give-up", is_flag=True, help="Instead, take loads whose files are lost or damaged for unloaded.")
def thaw(feeds: Sequence[str], give_up: bool) -> None:
    """Bring back the rows of old loads of FEEDs (all feeds, if none is named) that left raw for files.

    A run brings back by itself what it needs. This is for what wants all of raw: another type in a contract, or a model
    that you build with `growth dbt`. The next run takes out again what is old.

    With --give-up it prints what the lost loads were loaded from: land these files again, then `growth run
    --full-refresh`.
    """
    contracts = load_contracts(feeds_folder())
    if fault := unknown_names("feed", feeds, contracts):
        raise click.BadParameter(fault)
    chosen = {feed: contract for feed, contract in contracts.items() if not feeds or feed in feeds}
    warehouse = connect()
    conninfo = warehouse.conninfo("ingest")
    # a run that builds models brings rows back, so it has raw first, and then the files
    with standstill(conninfo) if give_up else nullcontext(), cold.alone(conninfo):
        if give_up:
            _give_up(warehouse, chosen)
        elif not ageing.thaw(warehouse, say, lambda _: True, chosen):
            say("All rows are in raw.")
        cold.sweep(conninfo, cold_folder())


def _give_up(warehouse: Warehouse, contracts: Mapping[str, Contract]) -> None:
    conninfo = warehouse.conninfo("ingest")
    with psycopg.connect(conninfo) as conn:
        loads = [load for load in cold.cold_loads(conn) if load.feed in contracts]
    faults = cold_files.broken(loads, cold_folder())
    run_id = console.run_id("thaw")
    for load in loads:
        if fault := faults.get(load.load_id):
            click.echo(cold.give_up(conninfo, contracts[load.feed], load, run_id=run_id))
            say(f"{fault}: given up")
    if faults:
        say("Land these files again, if you have them, then `growth run --full-refresh`.")
    else:
        say("No file is lost or damaged.")
