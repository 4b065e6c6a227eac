"""The commands that serve pages, before they ask the warehouse for anything."""

from __future__ import annotations

import errno
import os
import socket

import pytest
from click.testing import CliRunner

from growth.cli import cli


@pytest.mark.parametrize(("address", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_a_port_is_tried_in_the_family_of_its_address(
    monkeypatch: pytest.MonkeyPatch, address: str, family: socket.AddressFamily
) -> None:
    tried = []

    def refuse(_: object, *, family: socket.AddressFamily) -> None:
        tried.append(family)
        raise OSError

    monkeypatch.setattr(socket, "create_server", refuse)
    CliRunner().invoke(cli, ["dashboard", "--address", address])
    assert tried == [family]


@pytest.mark.parametrize("command", ["dashboard", "portal"])
def test_a_port_that_is_taken_is_named(command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(cli, [command, "--port", str(port)])
    assert isinstance(result.exception, OSError)
    said = f"cannot listen on 127.0.0.1, port {port} ({os.strerror(errno.EADDRINUSE)}): --port chooses another one"
    assert str(result.exception) == said
