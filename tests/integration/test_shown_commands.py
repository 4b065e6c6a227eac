"""The commands and queries that README and docs show are run, where a warehouse with a few files is enough for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.documents import DOCUMENTS, READS, ROOT, Shown, commands, growth_command, queries
from support.pipeline import Pipeline

from growth.cli import cli

GROWTH = Path(sys.executable).with_name("growth")
GOOD = [f"{user},2024-03-{user:02} 09:00:00,true,PAID SEARCH" for user in range(1, 29)]
# what they show stands on what they make: test_walk_through.py and test_growth_run.py go their way
WALKS = {"walk-through-flights.md", "adding-a-mart.md"}
KEPT = re.compile(r"\bdq_failures\.(\w+|<check>)")


def test_commands_and_queries_run_as_they_are_shown(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in pipeline.warehouse.environment():
        monkeypatch.setenv(name, pipeline.warehouse.environment()[name])
    pipeline.land("sessions", "a.csv", GOOD)
    pipeline.land("sessions", "2024-01-31.csv", ["nobody,2024-01-31 09:00:00,true,EMAIL", *GOOD])
    pipeline.run()
    ran = [shown for document in DOCUMENTS for shown in commands(document) if runs(shown, pipeline)]
    assert len(ran) > 25
    for query in (query for document in DOCUMENTS if document.name not in WALKS for query in queries(document)):
        pipeline.query(query, "analyst")

    # the way of a bad record, as docs/feeds.md shows it: export, correct, load, discard
    monkeypatch.chdir(tmp_path)
    [export] = [shown for shown in commands(ROOT / "docs" / "feeds.md") if "rejects export" in shown.text]
    invoke(export)
    [part] = (pipeline.landing / "sessions").glob("*.part")
    part.write_text(part.read_text().replace("nobody", "99"))
    part.rename(part.with_suffix(""))
    pipeline.load("sessions")
    [discard] = [shown for shown in commands(ROOT / "docs" / "feeds.md") if "rejects discard" in shown.text]
    invoke(discard)
    assert pipeline.query("select count(*) from raw.sessions where userid = 99", pipeline.warehouse.user) == [(1,)]
    assert "quarantine is empty" in CliRunner().invoke(cli, ["rejects", "list"]).output


def runs(shown: Shown, pipeline: Pipeline) -> bool:
    """Run a command that reads, and say whether there was something to run."""
    if shown.words[0] != "growth" or shown.document.name in WALKS:
        return False
    name, _, arguments = growth_command(shown.words[1:])
    if name not in READS or (
        name in ("sql", "psql") and not [word for word in arguments if " " in word or "/" in word]
    ):
        return False  # also psql at a prompt, and an option shown by itself
    if kept := KEPT.search(shown.text):  # a table that only a failed test has
        assert kept[1] in (ROOT / "docs" / "data-quality.md").read_text() or kept[1] == "<check>", shown
        return False
    if name == "psql":
        psql(shown, pipeline)
    else:
        invoke(shown)
    return True


def psql(shown: Shown, pipeline: Pipeline) -> None:
    """What psql is given; one of them through the command itself, the others faster."""
    arguments = shown.words[1:]
    if "-c" in arguments:
        pipeline.query(arguments[-1], pipeline.warehouse.user if "--admin" in arguments else "analyst")
        return
    done = subprocess.run([GROWTH, *arguments], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shown}: {done.stderr}"
    assert "ERROR" not in done.stderr, shown


def invoke(shown: Shown) -> None:
    """Run a command of growth."""
    result = CliRunner().invoke(cli, shown.words[1:])
    assert result.exit_code == 0, f"{shown}: {result.output}{result.exception}"
