"""The commands ``growth up`` and ``growth down``: the servers of this machine, without Docker."""

from __future__ import annotations

import shutil

import click

from growth.console import prepared, refuse_in_stack, say
from growth.settings import Warehouse, cold_folder, growth_home


@click.command()
@click.option("--ui", is_flag=True, help="Also start Airflow with its web interface.")
def up(ui: bool) -> None:
    """Start the embedded Postgres (and Airflow)."""
    refuse_in_stack()
    warehouse = prepared()
    say(f"The warehouse listens on {warehouse.host}:{warehouse.port}, database {warehouse.database}.")
    if ui:
        from embedded.stack import AirflowStack

        AirflowStack(growth_home(), warehouse).up()


@click.command()
@click.option("--purge", is_flag=True, help="Also delete the embedded Postgres with all its data.")
def down(purge: bool) -> None:
    """Stop what `up` started; data stay."""
    refuse_in_stack()
    from embedded.server import EmbeddedPostgres
    from embedded.stack import AirflowStack

    AirflowStack(growth_home(), None).down()
    server = EmbeddedPostgres(growth_home())
    if purge:
        server.purge()
        made = ["airflow", "alerts", "dbt", "edr", "logs", "pycache"]  # what we made, and nothing else that lies there
        if is_embedded := Warehouse.from_environment() is None:
            made.append(cold_folder().name)
        for name in made:
            shutil.rmtree(growth_home() / name, ignore_errors=True)
        kept = "" if is_embedded else " The warehouse of WAREHOUSE_HOST stays, and the files of its old rows."
        say(f"Stopped, and all data deleted.{kept}")
    else:
        server.stop()
        say("Stopped.")
