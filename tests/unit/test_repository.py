"""What the repository says of itself is true."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from embedded import tuning
from growth import diagrams

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_the_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text())
    dead = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert dead == []


def test_make_help_lists_the_verbs() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "up", "down", "test", "lint", "bench", "docs", "clean"} <= targets


def test_commit_hooks_run_what_lint_runs() -> None:
    makefile = (ROOT / "Makefile").read_text()
    recipe = makefile.split("\nlint:", 1)[1].split("\n\n", 1)[0]
    tools = re.findall(r"\.venv/bin/(\w+)(?: (?:check|format|lint))?", recipe)
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = [hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in repository["hooks"]]
    assert hooks == tools


def test_every_variable_of_the_stack_is_documented_with_its_default() -> None:
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", (ROOT / "docker-compose.yml").read_text()))
    documented = dict(re.findall(r"^# (\w+)=(\S*)", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert documented.keys() == used.keys()
    for name, default in documented.items():
        assert default in (used[name], ""), name


def test_the_image_is_built_from_an_index_that_its_history_does_not_name() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert compose["services"]["preflight"]["build"]["args"] == {"PIP_INDEX_URL": "${PIP_INDEX_URL:-}"}
    built, kept = re.split(r"^FROM ", (ROOT / "docker/airflow/Dockerfile").read_text(), flags=re.MULTILINE)[1:]
    assert "ARG PIP_INDEX_URL=\nRUN" in built
    assert "ENV" not in built
    assert "INDEX_URL" not in kept
    for install in re.findall(r"uv pip install (?:.*\\\n)*.*", kept):
        assert "--no-index" in install
    [backend] = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert f"--dest /opt/uv/build '{backend}'" in built


def test_both_warehouses_have_the_settings_that_depend_on_no_machine(tmp_path: Path) -> None:
    command = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["warehouse"]["command"]
    stack = dict(word.split("=", 1) for word in command if "=" in word)
    embedded = tuning.settings(tmp_path)
    both = stack.keys() & embedded.keys() - {name for name in stack if name.endswith(("_mem", "_buffers", "_wal_size"))}
    assert {"wal_level", "max_locks_per_transaction"} <= both
    assert {name: stack[name] for name in both} == {name: embedded[name] for name in both}


def test_a_staging_stack_has_other_ports_than_prod() -> None:
    ports = {
        name: dict(re.findall(r"^(?:# )?(\w+_PORT)=(\d+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in (".env.example", ".env.staging.example")
    }
    published = set(re.findall(r"\$\{(\w+_PORT):-\d+\}:\d+\"", (ROOT / "docker-compose.yml").read_text()))
    assert published
    for name in published:
        assert ports[".env.staging.example"][name] not in ports[".env.example"].values(), name


def test_the_lock_pins_every_dependency_with_hashes_and_no_index() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for lock, wanted in {
        "requirements.lock": project["dependencies"],
        "requirements-dev.lock": project["dependencies"] + project["optional-dependencies"]["dev"],
        "requirements-analysis.lock": project["dependencies"] + project["optional-dependencies"]["analysis"],
    }.items():
        text = (ROOT / lock).read_text()
        pinned = set(re.findall(r"^([a-z0-9_.-]+)(?:\[[^]]*\])?==", text, re.MULTILINE))
        names = {re.match(r"[A-Za-z0-9_.-]+", each).group().lower().replace("_", "-") for each in wanted}  # type: ignore[union-attr]
        assert names <= pinned
        assert text.count("--hash=sha256:") >= len(pinned)
        assert "index-url" not in text
        assert "://" not in text
    assert not (ROOT / "uv.lock").exists()


def test_diagrams_of_the_data_model_are_not_stale() -> None:
    assert diagrams.DOCUMENT.read_text() == diagrams.render(), "run: python -m growth.diagrams"
    assert "dim_channels ||--o{ fct_sessions : channel" in diagrams.render()


def test_models_and_their_descriptions_stand_side_by_side() -> None:
    models = ROOT / "dbt_project" / "models"
    lonely = [path.name for path in models.rglob("*.sql") if not path.with_suffix(".yml").exists()]
    assert lonely == []


@pytest.mark.parametrize("layer", ["dwh", "mart"])
def test_dwh_and_mart_models_enforce_their_contracts_and_state_their_grain(layer: str) -> None:
    for path in (ROOT / "dbt_project" / "models" / layer).rglob("*.sql"):
        [model] = yaml.safe_load(path.with_suffix(".yml").read_text())["models"]
        assert model["config"]["contract"] == {"enforced": True}, path.name
        assert all(column["description"] and column["data_type"] for column in model["columns"]), path.name
        assert re.search(r"^-- Grain: one row per ", path.read_text(), re.MULTILINE), path.name


def test_what_containers_ask_of_each_other_goes_through_no_proxy() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    asked = {"airflow-apiserver", "airflow-db", "redis", "warehouse", "127.0.0.1", "localhost"}
    for name, service in services.items():
        environment = service.get("environment") or {}
        if service["image"].startswith("${GROWTH_IMAGE") and "network_mode" not in service:
            assert {*environment["NO_PROXY"].split("${")[0].split(",")} == asked, name
            assert environment["no_proxy"] == environment["NO_PROXY"], name
        elif "wget" in str(service.get("healthcheck")):
            assert environment.items() >= dict.fromkeys(["HTTP_PROXY", "http_proxy"], "").items(), name


@pytest.mark.parametrize("runs", [True, False])
def test_an_environment_that_does_not_run_any_more_is_made_anew(tmp_path: Path, runs: bool) -> None:
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "uv").touch()
    (binaries / "pip").write_text(f"#!/bin/sh\nexit {int(not runs)}\n")
    (binaries / "pip").chmod(0o755)
    (tmp_path / ".venv" / "installed").touch()
    planned = subprocess.run(
        ["make", "-n", ".venv/installed"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert ("venv --clear .venv" in planned) is not runs
    assert ("pip install" in planned) is not runs


def test_clean_says_what_it_cannot_remove(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    command, asked = ["make", "clean"], {"cwd": tmp_path, "capture_output": True, "text": True, "check": False}
    environment = {name: value for name, value in os.environ.items() if name != "GROWTH_HOME"}
    assert subprocess.run(command, env=environment, **asked).returncode == 0
    (tmp_path / ".growth").mkdir()
    refused = subprocess.run(command, env=environment, **asked)
    assert (refused.returncode, refused.stderr.splitlines()[0]) == (
        2,
        "growth does not run: first make .venv/installed; servers and data of .growth stay",
    )
    assert (tmp_path / ".growth").exists()


def test_the_containers_have_no_more_rights_than_they_need() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    mine = {name: each for name, each in services.items() if each["image"] != "postgres:17"}
    assert len(mine) > 10
    for name, service in mine.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true", "label=disable"], name
        assert ("cap_add" in service) == (service.get("user") == "0:0"), name
        assert "pids_limit" in service or not service["image"].startswith("${GROWTH_IMAGE"), name
