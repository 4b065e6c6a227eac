"""``growth check`` on a small project of its own, in which one thing of each kind is wrong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import psutil
import pytest
from support.compose import wait_for

from embedded.place import server_folder
from growth.settings import PROJECT_ROOT
from ingest.contract_files import load_contracts
from ingest.dbt_sources import write_sources

GROWTH = Path(sys.executable).with_name("growth")
MODEL = """\
-- Grain: one row per user.
with sessions as (select * from {{ ref('stg_acquisition__sessions') }}),

final as (
    select
        user_id,
        count(*) as session_count
    from sessions
    group by user_id
)

select * from final
"""
DESCRIPTION = """\
models:
  - name: user_sessions
    description: Users and their sessions.
unit_tests:
  - name: sessions_are_counted
    model: user_sessions
    given:
      - {input: ref('stg_acquisition__sessions'), rows: [{user_id: "1"}, {user_id: "1"}]}
    expect: {rows: [{user_id: "1", session_count: 3}]}
"""


class Project:
    """A copy of as little of the project as dbt, Airflow and the linters need."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.scratch = folder, folder.with_name("scratch")
        self.scratch.mkdir(mode=0o755)
        self.dbt = folder / "dbt_project"
        # growth and ingest: by what is there, ruff tells our imports from others
        for name in ("dags", "growth", "ingest", "dbt_project/stand_ins", "dbt_project/lint"):
            shutil.copytree(PROJECT_ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("engagement", "subscription"):  # one domain is enough
            shutil.rmtree(folder / "ingest" / "feeds" / name)
        for name in ("macros", "tests/generic", "models/staging/acquisition"):
            shutil.copytree(PROJECT_ROOT / "dbt_project" / name, self.dbt / name)
        for path in [*(PROJECT_ROOT / "dbt_project").glob("*.yml"), PROJECT_ROOT / "pyproject.toml"]:
            shutil.copy(path, folder / path.relative_to(PROJECT_ROOT))
        for name in (".sqlfluff", ".sqlfluffignore"):
            shutil.copy(PROJECT_ROOT / name, folder)
        write_sources(load_contracts(folder / "ingest" / "feeds"), self.dbt)
        self.write("models/mart/acquisition/user_sessions.sql", MODEL)
        self.write("models/mart/acquisition/user_sessions.yml", DESCRIPTION)

    def write(self, name: str, text: str) -> None:
        """Write a file of the dbt project."""
        path = self.dbt / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a file below the project."""
        path = self.folder / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Run ``growth check``; the warehouse that is named is not there, and is not to be asked."""
        elsewhere = {"WAREHOUSE_HOST": "127.0.0.1", "WAREHOUSE_PORT": "1", "TMPDIR": str(self.scratch)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GROWTH_", "DBT_"))}
        return subprocess.Popen(
            [GROWTH, "check", *arguments],
            env={**kept, **elsewhere, "GROWTH_PROJECT": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def check(self, *arguments: str) -> tuple[int, str]:
        """Exit code and what was said; nothing is left behind."""
        before = self.files()
        process = self.start(*arguments)
        said, _ = process.communicate()
        assert self.files() == before
        self.assert_nothing_left()
        return process.returncode, said

    def files(self) -> list[Path]:
        """All there are."""
        return sorted(self.folder.rglob("*"))

    def assert_nothing_left(self) -> None:
        """Neither files nor processes."""
        assert list(self.scratch.iterdir()) == []
        assert serving([str(self.scratch)]) == []


def serving(places: Collection[str]) -> list[str]:
    """Commands of the processes that name one of the folders."""
    running = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [command for command in running if any(place in command for place in places)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("precheck") / "project")


def statuses(said: str) -> dict[str, str]:
    """Step → ok, failed or skipped."""
    return {line.split()[0]: line.split()[1] for line in said.splitlines()[:-1] if line and line[0] != " "}


def test_what_is_wrong_is_told_with_its_place_and_what_to_do(project: Project) -> None:
    code, said = project.check("--skip", "lint")
    assert statuses(said) == {
        **dict.fromkeys(("contracts", "sources", "parse", "compile", "build"), "ok"),
        **{"unit-tests": "failed", "dags": "ok"},
    }, said
    assert code == 1
    assert "dbt_project/models/mart/acquisition/user_sessions.yml:5:" in said
    assert "sessions_are_counted" in said
    assert "1 of 7 steps failed: unit-tests" in said

    model = "dbt_project/models/mart/acquisition/user_sessions.sql"
    project.edit(model, "        user_id,\n", "        usr_id,\n")
    project.edit("ingest/feeds/acquisition/sessions.yml", "description: ", "description: All ")
    project.write("analyses/lost.sql", "select 1\nfrom {{ no_such_macro() }}\n")
    project.edit("dags/growth_tasks/steps.py", "import functools\n", "import functoolz\n")
    code, said = project.check()
    failed = ("sources", "compile", "build", "dags", "lint")
    assert statuses(said) == {
        **{"contracts": "ok", "parse": "ok", "unit-tests": "skipped"},
        **dict.fromkeys(failed, "failed"),
    }, said
    assert code == 1
    assert "dbt_project/models/staging/acquisition/_acquisition__sources.yml: is not what the contracts say" in said
    assert "dbt_project/analyses/lost.sql:2:9: " in said
    assert f"{model}:6:9: " in said
    assert 'column "usr_id" does not exist' in said
    assert "dags/growth_tasks/steps.py:9: ModuleNotFoundError: No module named 'functoolz'" in said
    assert "dags/growth_tasks/steps.py:9:8: F401" in said
    assert said.count("What to do: ") == len(failed)

    project.edit("ingest/feeds/acquisition/sessions.yml", "type: bigint", "type: bigimt")
    project.edit(model, "{{ ref('stg_acquisition__sessions') }}", "{{ ref('stg_acquisition__session') }}")
    code, said = project.check("--only", "contracts,sources,parse")
    assert statuses(said) == {"contracts": "failed", "sources": "skipped", "parse": "failed"}, said
    assert code == 1
    contract = (project.folder / "ingest/feeds/acquisition/sessions.yml").read_text().splitlines()
    [line] = [number for number, text in enumerate(contract, start=1) if "bigimt" in text]
    column = contract[line - 1].index("type:") + 1
    assert f"ingest/feeds/acquisition/sessions.yml:{line}:{column}: columns[0].type: 'bigimt' is not accepted" in said
    assert f"{model}:2:" in said
    assert "depends on a node named 'stg_acquisition__session' which was not found" in said

    project.edit("ingest/feeds/acquisition/sessions.yml", "type: bigimt", "type: bigint")
    project.edit("ingest/feeds/acquisition/sessions.yml", "description: All ", "description: ")
    code, said = project.check("--only", "contracts,sources")
    assert (code, said.splitlines()[-1]) == (0, "2 steps, nothing wrong")


def test_an_interrupted_check_leaves_nothing_behind(project: Project) -> None:
    process = project.start("--only", "build,lint")
    wait_for(lambda: list(project.scratch.glob("*/logs/postgres.log")), 60)
    [home] = project.scratch.iterdir()
    places = {str(home), str(server_folder(home))}  # as root the data lie outside of the home
    wait_for(lambda: any("postgres -D" in command for command in serving(places)), 60)  # initdb came before
    process.send_signal(signal.SIGTERM)  # while it makes roles and databases
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "Interrupted."
    project.assert_nothing_left()
    assert serving(places) == []
    assert [place for place in places if Path(place).exists()] == []
