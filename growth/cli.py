"""The command line ``growth``: results go to standard output, everything else to standard error."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import psycopg

from growth import console, packages, table
from growth.alerts.command import alert
from growth.backtest.command import backtest
from growth.backup.command import backup, restore
from growth.compare import compare
from growth.console import (
    connect,
    domains_option,
    feeds_option,
    known_names,
    landed_path,
    prepared,
    refuse_in_stack,
    say,
)
from growth.erase import erase
from growth.metrics.command import metrics
from growth.pages import dashboard, portal
from growth.precheck.command import check
from growth.rejects import rejects
from growth.servers import down, up
from growth.settings import feeds_folder, forget_other_servers, growth_home, landing_folder
from growth.thaw import thaw
from ingest.errors import ExpectedError

GROUP_HELP = """\
Growth Analytics: CSV exports become tested growth marts in Postgres.

Files land in landing/<feed>/; `growth run` loads, tests, builds and publishes them. The warehouse is the one that
WAREHOUSE_HOST, _PORT, _DB, _USER and _PASSWORD name, else an embedded Postgres, started when needed.
"""


@click.group(help=GROUP_HELP, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Group of all commands."""


cli.add_command(rejects)
cli.add_command(erase)
cli.add_command(alert)
cli.add_command(backtest)
cli.add_command(backup)
cli.add_command(restore)
cli.add_command(check)
cli.add_command(compare)
cli.add_command(dashboard)
cli.add_command(metrics)
cli.add_command(portal)
cli.add_command(thaw)
cli.add_command(up)
cli.add_command(down)


@cli.command()
def init() -> None:
    """Create schemas, roles and raw tables where they are missing."""
    warehouse = prepared()
    say(f"The warehouse at {warehouse.host}:{warehouse.port}, database {warehouse.database}, is ready.")


@cli.command()
@feeds_option("Load only these feeds.")
def load(feeds: list[str]) -> None:
    """Load what has landed into raw, without building anything; exits 1 when a file is refused."""
    from growth.load import load as load_files
    from growth.load import warnings
    from ingest.contract_files import load_contracts

    warehouse = prepared()
    contracts = load_contracts(feeds_folder())
    for warning in warnings(contracts):
        say(warning)
    run_id = console.run_id("load")
    results = load_files(warehouse, feeds or contracts, run_id, say)
    if any(result.status == "refused" for result in results):
        sys.exit(1)


@cli.command()
@click.argument("path", callback=landed_path)
def unload(path: str) -> None:
    """Take the rows of the file at PATH (below the landing folder) out of raw; marts follow at the next run."""
    from growth.rejects import contract_of
    from ingest.unload import unload as unload_file

    run_id = console.run_id("unload")
    count = unload_file(connect().conninfo("ingest"), contract_of(path), path, run_id=run_id)
    say(f"{path}: {count:,} records taken out of raw")
    if (landing_folder() / path).exists():
        say("The file still lies in the landing folder: the next load takes it again, unless it is moved away.")


@cli.command()
@click.option("--full-refresh", is_flag=True, help="Rebuild every model from raw, whatever has changed.")
@feeds_option("Load only these feeds.")
@domains_option
def run(full_refresh: bool, feeds: list[str], domains: list[str]) -> None:
    """Run the DAG growth_daily once: load, test, build, publish; exits 1 when a step fails."""
    from embedded.run import run_dag
    from growth import parsing
    from growth.load import warnings
    from ingest.contract_files import load_contracts

    refuse_in_stack()
    warehouse = connect()
    parsing.begin(warehouse)  # while Airflow starts
    for warning in warnings(load_contracts(feeds_folder())):
        say(warning)
    log_path = growth_home() / "logs" / f"run-{datetime.now(UTC):%Y%m%dT%H%M%S}.log"
    params = {"full_refresh": full_refresh, "feeds": feeds, "domains": domains}
    code = run_dag(growth_home(), warehouse, params, log_path)
    if code == 0:
        from growth.status import delivered_files, last_publication, silent_domains, warned

        if not delivered_files(warehouse):
            say(f"No file has ever been delivered to {landing_folder()}: the marts are there, and empty.")
        elif silent := silent_domains(warehouse):
            say(f"No data of {', '.join(silent)}.")
        say(last_publication(warehouse))
        for line in warned(warehouse):
            say(line)
    sys.exit(code)


@cli.command()
@click.option("--rollback", "roll_back", is_flag=True, help="Bring back the marts of before the last publication.")
@click.option("--force", is_flag=True, help="Also where columns were removed or retyped (docs/runbooks).")
def publish(roll_back: bool, force: bool) -> None:
    """Publish the candidates that are built, if they pass every gate; or take the last publication back."""
    from growth import dbt, gate_texts
    from growth.gate_results import run_gate
    from growth.publish import publish as publish_marts
    from growth.rollback import rollback
    from growth.status import warned
    from growth.turns import no_run_beside

    warehouse = prepared()
    if roll_back:
        restored = rollback(warehouse, console.run_id("rollback"), force=force)
        say(f"The marts are those of publication {restored.restored_publication_id} again.")
        for mart in restored.left:
            say(f"mart.{mart} did not exist then, and stays as it is.")
        return
    run_id = console.run_id("publish")
    # a run beside would build candidates that no gate has judged; what dbt says is no result of ours
    with no_run_beside(warehouse), contextlib.redirect_stdout(sys.stderr):
        for layer in ("raw", *dbt.LAYERS):
            result = run_gate(layer, warehouse, run_id)
            if not result.succeeded:
                say(f"{gate_texts.failed(warehouse, layer, result)}\nNothing was published: gate {layer} failed.")
                sys.exit(1)
        publication = publish_marts(warehouse, run_id, dbt.mart_names(), force=force)
    for mart, count in publication.row_counts.items():
        say(f"mart.{mart}: {count:,} rows, {publication.changed_counts[mart]:,} changed")
    for line in warned(warehouse):
        say(line)


@cli.command()
def rebuild_history() -> None:
    """Build dimensions that change over time anew from the extracts in raw, in the order of their dates.

    Every run keeps them right; this is for an edit of their models. The next run brings the marts in line.
    """
    from growth import dbt, gate_texts
    from growth.gate_results import run_gate
    from growth.turns import no_run_beside
    from ingest.standstill import standstill

    warehouse = prepared()
    run_id = console.run_id("rebuild-history")
    with (
        no_run_beside(warehouse),
        standstill(warehouse.conninfo("transform")),
        contextlib.redirect_stdout(sys.stderr),  # what dbt says is no result of ours
    ):
        result = run_gate("raw", warehouse, run_id)  # what is built from is judged first, as in a run
        if not result.succeeded:
            say(f"{gate_texts.failed(warehouse, 'raw', result)}\nNothing was rebuilt: gate raw failed.")
            sys.exit(1)
        result = dbt.rebuild_history(warehouse)
    if not result.succeeded:
        say(result.details)
        sys.exit(1)
    say("History was built anew from the extracts in raw. `growth run` brings the marts in line.")


def _sample_feeds() -> Sequence[str]:
    from sample_data import FEEDS

    return FEEDS


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--users", default=2_000, show_default=True, type=click.IntRange(1), help="Users in the sample.")
@click.option("--days", default=60, show_default=True, type=click.IntRange(1), help="Days the sample covers.")
@click.option("--seed", default=1, show_default=True, type=int, help="The same seed gives the same files.")
@click.option(
    "--feeds",
    callback=known_names("feed", _sample_feeds),
    metavar="FEED,...",
    help="Write only these feeds.  [default: all]",
)
@click.option("--events", type=click.IntRange(1), help="About how many rows of events and app_events; scales visits.")
@click.option("--lead-days", type=click.IntRange(0), help="Engagement begins so much earlier.  [default: for 88 days]")
@click.option("--more-days", default=0, type=click.IntRange(0), help="Engagement goes on so much longer.")
@click.option("--daily", "is_daily", is_flag=True, help="Files of a day, not of a week, for events and app_events.")
@click.option("--if-empty", is_flag=True, help="Write nothing when FOLDER already holds files.")
def sample(
    folder: Path,
    users: int,
    days: int,
    seed: int,
    feeds: list[str],
    events: int | None,
    lead_days: int | None,
    more_days: int,
    is_daily: bool,
    if_empty: bool,
) -> None:
    """Write realistic files of every feed below FOLDER (docs/data-card.md says what is in them)."""
    from sample_data import FEEDS, write_sample

    if if_empty and any(path.is_file() and not path.name.startswith(".") for path in folder.rglob("*")):
        say(f"{folder} already holds files; no sample data written.")
        return

    with click.progressbar(length=days, label="Writing", file=sys.stderr) as bar:
        files = write_sample(
            folder,
            users=users,
            days=days,
            seed=seed,
            feeds=feeds or FEEDS,
            lead_days=lead_days,
            more_days=more_days,
            events=events,
            is_daily=is_daily,
            progress=lambda _done, _total: bar.update(1),
        )
    for feed in sorted({file.feed for file in files}):
        rows = [file.row_count for file in files if file.feed == feed]
        say(f"{folder / feed}: {len(rows)} files, {sum(rows):,} rows")


@cli.command()
def status() -> None:
    """Show what was loaded, refused and published, and which checks warned."""
    from growth.status import report

    click.echo("\n".join(report(connect())))


@cli.command()
@click.argument("query")
@click.option("--format", "style", type=click.Choice(table.STYLES), default="table", show_default=True)
def sql(query: str, style: str) -> None:
    """Run QUERY as the read-only role analyst and print its rows.

    Null is empty, in JSON null; JSON has decimals as numbers with all their digits.
    """
    with psycopg.connect(connect().conninfo("analyst")) as conn:
        cursor = conn.execute(query.encode())
        if cursor.description:
            click.echo(table.render([column.name for column in cursor.description], cursor.fetchall(), style), nl=False)


@cli.command(context_settings={"ignore_unknown_options": True})
@click.option("--admin", is_flag=True, help="As the owner instead of the read-only analyst.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(admin: bool, arguments: Sequence[str]) -> None:
    """Open psql on the warehouse: growth psql [--admin] -- PSQL-ARGUMENTS."""
    from embedded.binaries import psql_binary

    warehouse = connect()
    role = warehouse.user if admin else "analyst"
    binary = str(psql_binary())
    sys.stdout.flush()
    os.execve(binary, [binary, *arguments], {**os.environ, **warehouse.login(role)})  # noqa: S606


@cli.command()
@click.option("--browser/--no-browser", "has_browser", default=True, help="Open it in the browser.")
def notebook(has_browser: bool) -> None:
    """Open the notebooks in JupyterLab, on this machine only, as the read-only analyst."""
    from growth.notebook import open_notebooks

    open_notebooks(connect(), has_browser=has_browser, variables=os.environ)


@cli.command()
@click.option("--index-only", is_flag=True, help="Only the index page, without a warehouse.")
def report(index_only: bool) -> None:
    """Write the report pages: dbt docs, Elementary's report where its package is in use, and an index of both."""
    from growth import elementary, reports

    if index_only:
        say(f"Open {reports.write_index()}")
        return
    warehouse = prepared()
    reports.write_docs(warehouse)
    if packages.elementary_version():
        elementary.prepare(warehouse)
        elementary.update(warehouse)
        elementary.write_report(warehouse)
    else:
        say(packages.ABSENT)
    say(f"Open {reports.write_index(warehouse)}")


@cli.command()
def deps() -> None:
    """Get the dbt packages of Elementary's report from dbt's hub; docs/elementary.md says how to bring them by hand."""
    version = packages.fetch()
    say(f"Elementary {version} is in {packages.real_folder()}; the next run writes its report.")


@cli.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dbt(arguments: Sequence[str]) -> None:
    """Run any dbt command with connection and packages set; --target prod builds what the DAG builds."""
    from growth.dbt import invoke

    arguments = arguments or ("--help",)
    words = [word for argument in arguments for word in argument.split("=", 1)]
    named = [after for option, after in itertools.pairwise(words) if option in ("--target", "-t")]
    target = named[0] if named else os.environ.get("DBT_TARGET") or "dev"
    result = invoke(arguments, prepared(), target)
    if result.error:
        say(result.error)
    sys.exit(0 if result.succeeded else 1)


@cli.command()
@click.option("--check", is_flag=True, help="Only say whether they are stale; exit 1 if so.")
def sources(check: bool) -> None:
    """Write the dbt sources, with their tests, that follow from the feed contracts."""
    from growth.settings import PROJECT_ROOT
    from ingest.contract_files import load_contracts
    from ingest.dbt_sources import stale_sources, write_sources

    contracts = load_contracts(feeds_folder())
    project = PROJECT_ROOT / "dbt_project"
    if check:
        stale = stale_sources(contracts, project)
        for path in stale:
            say(f"{path} is stale: run `growth sources`.")
        sys.exit(1 if stale else 0)
    written = write_sources(contracts, project)
    say(f"{len(written)} sources files written." if written else "The sources files are up to date.")


def main() -> None:
    """Entry point: expected errors become one line and exit code 1."""
    forget_other_servers()
    try:
        cli()
    except (ExpectedError, OSError, psycopg.Error) as error:
        say(f"growth: {str(error).strip()}")
        sys.exit(1)
