"""What README and docs show is there: commands with their options, targets, services, paths, headings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from support.documents import (
    CHANGES,
    DOCUMENTS,
    LANGUAGES,
    READS,
    ROOT,
    NotAsShown,
    Shown,
    blocks,
    check,
    commands,
    missing_anchors,
    missing_paths,
)

from growth.cli import cli
from ingest.contract import Contract

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


@each_document
def test_every_command_is_of_a_known_kind_and_what_it_names_is_there(document: Path) -> None:
    assert {language for language, _ in blocks(document)} <= LANGUAGES
    for shown in commands(document):
        check(shown)


@each_document
def test_every_path_and_heading_that_is_named_is_there(document: Path) -> None:
    assert missing_paths(document) == []
    assert missing_anchors(document) == []


def test_contracts_that_are_shown_are_contracts() -> None:
    texts = [text for document in DOCUMENTS for language, text in blocks(document) if language == "yaml"]
    parsed = [yaml.safe_load(text) for text in texts]
    feeds = [each for each in parsed if "feed" in each]
    assert len(feeds) > 1
    for each in feeds:
        Contract.model_validate(each)


def test_the_runbook_of_warnings_names_each_of_them() -> None:
    """`growth run` sends people there."""
    tests = (ROOT / "dbt_project/tests").rglob("*.sql")
    warn = {path.stem for path in tests if re.search(r"tags=\['warning'.*severity='warn'", path.read_text())}
    assert warn >= {"few_duplicates", "viewing_fits_into_days"}
    runbook = (ROOT / "docs/runbooks/data_quality.md").read_text()
    assert {name for name in warn if f"`{name}`" not in runbook} == set()


def test_the_runbook_of_a_failed_gate_names_every_kind_that_stops_gate_raw() -> None:
    kinds = set()
    for path in (ROOT / "dbt_project/models/staging").glob("*/_*__sources.yml"):
        [tables] = [source["tables"] for source in yaml.safe_load(path.read_text())["sources"]]
        parts = [part for table in tables for part in (table, *table["columns"])]
        kinds |= {name for part in parts for test in part.get("data_tests", []) for name in test}
    generic = ROOT / "dbt_project/tests/generic"
    critical = {kind for kind in kinds if "tags=['critical']" in (generic / f"{kind}.sql").read_text()}
    assert critical >= {"relationships", "events_not_in_future", "volume_holds"}
    runbook = (ROOT / "docs/runbooks/gate_failed.md").read_text()
    rows = "".join(line.split("|")[1] for line in runbook.splitlines() if line.startswith("| `"))
    assert {kind for kind in critical if f"`{kind}`" not in rows} == set()


def test_enough_is_found_to_be_checked() -> None:
    found = [shown for document in DOCUMENTS for shown in commands(document)]
    assert len([shown for shown in found if shown.is_block]) > 40
    assert len([shown for shown in found if not shown.is_block]) > 60


@pytest.mark.parametrize(
    "text",
    [
        "growth publsh",
        "growth run --quickly",
        "growth rejects mend",
        "make coffee",
        "docker compose exec kitchen true",
        "docker compose exec airflow-scheduler growth run --quickly",
        "docker compose --profile open up",
        "docker compose cook",
        "docker swarm init",
        "kubectl get pods",
    ],
)
def test_what_is_not_there_is_noticed(text: str) -> None:
    with pytest.raises(NotAsShown):
        check(Shown(ROOT / "README.md", text, is_block=True))


def test_every_command_of_growth_is_told_apart_and_shown_in_the_readme() -> None:
    leaves = set()
    for name, command in cli.commands.items():
        leaves |= {f"{name} {each}" for each in getattr(command, "commands", {})} or {name}
    assert leaves == READS | CHANGES
    readme = (ROOT / "README.md").read_text()
    assert [name for name in cli.commands if f"`{name}`" not in readme] == []
