"""Errors that are expected end a command with one line and exit code 1; any other shows where it came from."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from growth import cli
from growth.turns import TurnTaken
from ingest.errors import ExpectedError, NothingLoaded

Raise = Callable[[Exception], None]


class OfAnyPackage(ExpectedError):
    """One that no module but its own knows."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Raise:
    """Run a command that raises an error."""

    def main(error: Exception) -> None:
        def command() -> None:
            raise error

        monkeypatch.setattr(cli, "cli", command)
        cli.main()

    monkeypatch.setattr(cli, "forget_other_servers", lambda: None)
    return main


@pytest.mark.parametrize("error", [OfAnyPackage, NothingLoaded, TurnTaken, OSError])
def test_an_expected_error_is_one_line(error: type[Exception], run: Raise, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run(error("no way\n"))
    assert end.value.code == 1
    assert capsys.readouterr().err == "growth: no way\n"


def test_a_defect_is_none(run: Raise) -> None:
    with pytest.raises(KeyError, match="defect"):
        run(KeyError("defect"))
