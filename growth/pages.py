"""The commands that serve pages on this machine without Docker: the dashboard, and the portal of reports."""

from __future__ import annotations

import functools
import http.server
import os
import socket
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

import click

from growth import secret_files
from growth.console import connect, prepared, say
from growth.settings import PROJECT_ROOT, Warehouse, reports_folder

ADDRESS = "127.0.0.1"
address_option = click.option(
    "--address", default=ADDRESS, show_default=True, help="Where to listen; any other one needs a login before it."
)


@click.command()
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535))
@address_option
def dashboard(port: int, address: str) -> None:
    """Serve the dashboard over the published marts until it is interrupted."""
    warehouse = Warehouse.from_environment() or prepared()
    say(f"The dashboard listens on http://{address}:{port} (Ctrl-C ends it).")
    script = str(PROJECT_ROOT / "dashboard" / "app.py")
    options = [f"--server.port={port}", f"--server.address={address}"]
    options += [f"--server.allowedHosts={name}" for name in known_names(address, os.environ)]
    arguments = [sys.executable, "-m", "streamlit", "run", script, *options]
    os.execve(sys.executable, arguments, reader_environment(warehouse))  # noqa: S606


@click.command()
@click.option("--port", default=8081, show_default=True, type=click.IntRange(1, 65535))
@address_option
def portal(port: int, address: str) -> None:
    """Serve the reports until it is interrupted: an index, the dbt docs, Elementary's report, the data card."""
    from growth import reports

    reports.write_index(connect())
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(reports_folder()))
    with http.server.ThreadingHTTPServer((address, port), handler) as server:
        say(f"The reports are on http://{address}:{server.server_port} (Ctrl-C ends it).")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("Stopped.")


def known_names(address: str, environment: Mapping[str, str]) -> list[str]:
    """The names under which people reach the dashboard: this machine's, and those that the variables say.

    A page of a stranger, whose own name the stranger has lead to this machine, reads nothing from it.
    """
    names = {ADDRESS, "::1", "localhost", socket.gethostname(), environment.get("SHARED_NAME")}
    names |= {address, urlsplit(environment.get("GROWTH_DASHBOARD_URL", "")).hostname} - {"0.0.0.0", "::"}  # noqa: S104
    return sorted(name for name in names if name)


def reader_environment(warehouse: Warehouse) -> dict[str, str]:
    """Our environment, without any password but the analyst's."""
    kept = secret_files.without_secrets(os.environ)
    known = warehouse.environment()
    wanted = ("WAREHOUSE_HOST", "WAREHOUSE_PORT", "WAREHOUSE_DB", "WAREHOUSE_ANALYST_PASSWORD")
    return kept | {name: known[name] for name in wanted}
