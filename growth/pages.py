"""The commands that serve pages on this machine without Docker: the dashboard, and the portal of reports."""

from __future__ import annotations

import functools
import http.server
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import click

from growth import secret_files
from growth.console import connect, prepared, say
from growth.settings import DASHBOARD_PORT, PORTAL_PORT, PROJECT_ROOT, Warehouse, reports_folder

ADDRESS = "127.0.0.1"
DASHBOARD_URL, REPORTS_URL = "GROWTH_DASHBOARD_URL", "GROWTH_REPORTS_URL"
EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104
address_option = click.option(
    "--address", default=ADDRESS, show_default=True, help="Where to listen; any other one needs a login before it."
)


@click.command()
@click.option("--port", default=DASHBOARD_PORT, show_default=True, type=click.IntRange(1, 65535))
@address_option
def dashboard(port: int, address: str) -> None:
    """Serve the dashboard over the published marts until it is interrupted."""
    _check_free(address, port)
    warehouse = Warehouse.from_environment() or prepared()
    say(f"The dashboard listens on {_shown(address, port)} (Ctrl-C ends it).")
    script = str(PROJECT_ROOT / "dashboard" / "app.py")
    options = [f"--server.port={port}", f"--server.address={address}"]
    options += [f"--server.allowedHosts={name}" for name in served_names(address, os.environ, DASHBOARD_URL)]
    arguments = [sys.executable, "-m", "streamlit", "run", script, *options]
    os.execve(sys.executable, arguments, reader_environment(warehouse))  # noqa: S606


@click.command()
@click.option("--port", default=PORTAL_PORT, show_default=True, type=click.IntRange(1, 65535))
@address_option
def portal(port: int, address: str) -> None:
    """Serve the reports until it is interrupted: an index, the dbt docs, Elementary's report, the data card."""
    from growth import reports

    _check_free(address, port)
    reports.write_index(connect())
    names = served_names(address, os.environ, DASHBOARD_URL, REPORTS_URL)
    handler = functools.partial(_ReportsHandler, names=names, directory=str(reports_folder()))
    with http.server.ThreadingHTTPServer((address, port), handler) as server:
        say(f"The reports are on {_shown(address, server.server_port)} (Ctrl-C ends it).")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("Stopped.")


def _check_free(address: str, port: int) -> None:
    try:
        socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET).close()
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # some Pythons add the address to what the system says
        raise OSError(f"cannot listen on {address}, port {port} ({reason}): --port chooses another one") from error


class _ReportsHandler(http.server.SimpleHTTPRequestHandler):
    """Serves the folder of reports under known names only."""

    def __init__(self, *arguments: Any, names: Sequence[str], **options: Any) -> None:
        self._names = names
        super().__init__(*arguments, **options)

    def send_head(self) -> Any:
        if urlsplit(f"//{self.headers.get('Host', '')}").hostname not in self._names:
            self.send_error(http.HTTPStatus.FORBIDDEN, "Unknown name: set SHARED_NAME to it")
            return None
        return super().send_head()


def _shown(address: str, port: int) -> str:
    """The address to open: any address of this machine is one that listens on all."""
    return f"http://{ADDRESS if address in EVERYWHERE else address}:{port}"


def served_names(address: str, environment: Mapping[str, str], *variables: str) -> list[str]:
    """The names under which people reach a page: this machine's, and those of the addresses that the variables say.

    A page of a stranger, whose own name the stranger has lead to this machine, reads nothing from it.
    """
    names = {ADDRESS, "::1", "localhost", socket.gethostname(), environment.get("SHARED_NAME")}
    names |= {address, *(urlsplit(environment.get(name, "")).hostname for name in variables)} - EVERYWHERE
    return sorted(name for name in names if name)


def reader_environment(warehouse: Warehouse) -> dict[str, str]:
    """Our environment, without any password but the analyst's."""
    kept = secret_files.without_secrets(os.environ)
    known = warehouse.environment()
    wanted = ("WAREHOUSE_HOST", "WAREHOUSE_PORT", "WAREHOUSE_DB", "WAREHOUSE_ANALYST_PASSWORD")
    return kept | {name: known[name] for name in wanted}
