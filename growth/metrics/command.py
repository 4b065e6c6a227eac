"""The command ``growth metrics``: what Prometheus scrapes."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import click

from growth.console import prepared, say
from growth.settings import Warehouse, growth_home, landing_folder


def _places(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Path]:
    places = {}
    for value in values:
        name, separator, path = value.partition("=")
        if not (name and separator and path):
            raise click.BadParameter(f"{value!r} is not of the form NAME=FOLDER")
        places[name] = Path(path)
    return places or {"home": growth_home(), "landing": landing_folder()}


@click.command()
@click.option("--port", default=9808, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free.")
@click.option("--address", default="127.0.0.1", show_default=True, help="Where to listen; there is no login.")
@click.option(
    "--disk",
    "places",
    multiple=True,
    callback=_places,
    metavar="NAME=FOLDER",
    help="Watch the disk of FOLDER; may be given again.  [default: the home and the landing folder]",
)
@click.option("--once", is_flag=True, help="Print the metrics and end; exits 1 when a source could not be read.")
def metrics(port: int, address: str, places: dict[str, Path], once: bool) -> None:
    """Serve what is going on as Prometheus metrics until it is interrupted (docs/monitoring.md)."""
    from prometheus_client import CollectorRegistry, generate_latest, start_http_server

    from growth.metrics.exporter import Exporter, sources

    warehouse = Warehouse.from_environment() or prepared()
    registry = CollectorRegistry()
    registry.register(Exporter(sources(warehouse, _metadata(warehouse), places)))
    if once:
        text = generate_latest(registry).decode()
        click.echo(text, nl=False)
        if any(line.startswith("growth_source_up{") and line.endswith(" 0.0") for line in text.splitlines()):
            raise SystemExit(1)
        return
    server, _ = start_http_server(port, address, registry)
    say(f"Metrics are on http://{address}:{server.server_port}/metrics (Ctrl-C ends it).")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.shutdown()
        say("Stopped.")


def _metadata(warehouse: Warehouse) -> str | None:
    """Airflow's metadata database: that of AIRFLOW_DB_HOST, as the reader, else the embedded one, if it is there."""
    from psycopg.conninfo import make_conninfo

    from growth.metrics.airflow import READER

    if host := os.environ.get("AIRFLOW_DB_HOST"):
        password = warehouse.passwords[READER]
        return make_conninfo(host=host, dbname="airflow", user=READER, password=password, connect_timeout=5)
    from embedded.server import EmbeddedPostgres

    server = EmbeddedPostgres(growth_home())  # Airflow's is here also where the warehouse is on a server of one's own
    return server.metadata_conninfo() if server.data.exists() else None
