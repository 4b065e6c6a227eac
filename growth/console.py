"""What the commands share: where they write to, the warehouse they work on, common options."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from growth.settings import Warehouse, feeds_folder, growth_home, landing_folder
from ingest.names import unknown_names

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def say(text: str) -> None:
    """Tell the user something that is not a result."""
    click.echo(text, err=True)


def run_id(command: str) -> str:
    """What the ledger calls what a command does that begins now."""
    return f"{command} {datetime.now(UTC):%Y-%m-%dT%H:%M:%S%z}"


def connect() -> Warehouse:
    """The warehouse of the environment, as it is; else the embedded one, started, with what every command needs."""
    from growth.warehouse import is_set_up

    warehouse = server()
    # somebody's own server is set up by the commands that write to it; one that we made ourselves holds nothing yet
    if Warehouse.from_environment() is None and not is_set_up(warehouse):
        _initialise(warehouse)
    return warehouse


def server() -> Warehouse:
    """The warehouse of the environment, else the embedded one, started if it is not running, with whatever is in it."""
    named = Warehouse.from_environment()
    if named:
        return named
    from embedded.server import EmbeddedPostgres

    return EmbeddedPostgres(growth_home()).start()


def refuse_in_stack() -> None:
    """Where Airflow runs already, in the containers of the stack, nothing starts one of its own beside it.

    Raises:
        click.ClickException: this is such a container.
    """
    if os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD"):
        raise click.ClickException(
            "In the Docker stack Airflow is there already: trigger growth_daily in its web interface, or with"
            " `docker compose exec airflow-scheduler airflow dags trigger growth_daily`, with params as --conf."
        )


def prepared() -> Warehouse:
    """The warehouse, with its schemas, roles and raw tables there, as the contracts are now."""
    warehouse = server()
    _initialise(warehouse)
    return warehouse


def _initialise(warehouse: Warehouse) -> None:
    from growth.warehouse import initialise
    from ingest.contract_files import load_contracts

    for change in initialise(warehouse, load_contracts(feeds_folder())):
        say(change)


def known_names(kind: str, known: Callable[[], Collection[str]]) -> Callable[..., list[str]]:
    """The callback of an option that takes names with commas between them: a list, empty where the option is absent.

    Args:
        kind: of what they are names.
        known: gives those that there are.
    """

    def split(_context: click.Context, _parameter: click.Parameter, value: str | None) -> list[str]:
        names = [name.strip() for name in (value or "").split(",") if name.strip()]
        if fault := unknown_names(kind, names, known()):
            raise click.BadParameter(fault)
        if value is not None and not names:  # such as that of a variable that is not set
            raise click.BadParameter(f"names no {kind}; there are: {', '.join(known())}")
        return names

    return split


def _feeds() -> list[str]:
    from ingest.contract_files import load_contracts

    return list(load_contracts(feeds_folder()))


def _domains() -> list[str]:
    from ingest.contract_files import domains, load_contracts

    return domains(load_contracts(feeds_folder()))


domains_option = click.option(
    "--domains",
    callback=known_names("domain", _domains),
    metavar="A,B",
    help="Load, build and publish only these domains.",
)


def feeds_option(text: str) -> Callable[[Decorated], Decorated]:
    """The option ``--feeds`` of a command; the text says what it does with them."""
    return click.option("--feeds", callback=known_names("feed", _feeds), metavar="A,B", help=text)


def landed_path(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """A path below the landing folder as the ledger has it, also where a name is not UTF-8.

    A shell completes it from where one stands, or from the root: that is good, too, where it leads into the folder.
    """
    from ingest.contract_files import load_contracts

    if value is None:
        return None
    if value.split("/", 1)[0] not in load_contracts(feeds_folder()):
        named = Path(os.path.abspath(value))  # not resolved: a link of a file is delivered under its own name
        folders = [folder for folder in (landing_folder(), landing_folder().resolve()) if named.is_relative_to(folder)]
        value = str(named.relative_to(folders[0])) if folders else value
    return os.fsencode(value).decode("utf-8", "backslashreplace")
