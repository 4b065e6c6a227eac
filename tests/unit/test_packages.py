"""Real dbt packages are used where they are whole, stand-ins elsewhere; edr is told what the environment says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from growth import elementary, packages, reports
from growth.settings import PROJECT_ROOT, Warehouse


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DBT_PACKAGES_DIR", str(tmp_path / "packages"))
    monkeypatch.setenv("GROWTH_REPORTS", str(tmp_path / "reports"))
    return tmp_path / "packages"


def install(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "dbt_project.yml").write_text(f"name: {name}\nversion: 0.26.1\n")


def test_stand_ins_stand_in_until_every_package_is_there(folder: Path) -> None:
    assert packages.environment()["DBT_PACKAGES_DIR"] == str(packages.STAND_INS)
    install(folder, "elementary")
    assert packages.elementary_version() == "", "dbt would not parse: dbt_utils is missing"
    install(folder, "dbt_utils")
    assert packages.elementary_version() == "0.26.1"
    assert packages.environment() == {"DBT_PACKAGES_DIR": str(folder), "DBT_MONITORS_DIR": "monitors"}


def test_stand_ins_have_the_names_of_the_lock_and_no_content() -> None:
    project = PROJECT_ROOT / "dbt_project"
    wanted = yaml.safe_load((project / "packages.yml").read_text())["packages"]
    locked = yaml.safe_load((project / "package-lock.yml").read_text())["packages"]
    assert {each["package"]: each["version"] for each in locked} == {
        each["package"]: each["version"] for each in wanted
    }
    assert {each["name"] for each in locked} == set(packages.NAMES)
    files = {path.relative_to(packages.STAND_INS) for path in packages.STAND_INS.rglob("*") if path.is_file()}
    assert files == {Path(name) / "dbt_project.yml" for name in packages.NAMES}


def test_the_package_goes_with_the_version_of_edr() -> None:
    wanted = {each["package"]: each["version"] for each in _yaml("packages.yml")["packages"]}
    assert f"elementary-data=={wanted['elementary-data/elementary']}" in (PROJECT_ROOT / "pyproject.toml").read_text()


def _yaml(name: str) -> dict[str, list[dict[str, str]]]:
    content: dict[str, list[dict[str, str]]] = yaml.safe_load((PROJECT_ROOT / "dbt_project" / name).read_text())
    return content


def test_index_says_what_is_absent_and_links_what_is_there(folder: Path, tmp_path: Path) -> None:
    page = reports.write_index().read_text()
    assert "Elementary is absent" in page
    assert "make deps" in page
    assert re.findall(r'href="([^"]*)"', page) == ["data-card.html"]
    card = (tmp_path / "reports" / "data-card.html").read_text()
    assert "<table>" in card
    install(folder, *packages.NAMES)
    for name in ("elementary/index.html", "elementary/2026-01-02T030405.html", "dbt-docs/index.html"):
        path = tmp_path / "reports" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    page = reports.write_index().read_text()
    assert "absent" not in page
    assert "Elementary 0.26.1" in page
    for link in ("elementary/", "elementary/2026-01-02T030405.html", "dbt-docs/"):
        assert f'href="{link}"' in page


def test_two_who_write_the_index_at_once_do_not_spoil_each_others_page(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def another_comes_first(part: Path, target: Path) -> Path:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", replace)
            reports.write_index()
        return replace(part, target)

    monkeypatch.setattr(Path, "replace", another_comes_first)
    assert reports.write_index().read_text().endswith("</html>\n")
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == ["data-card.html", "index.html"]


@pytest.mark.parametrize(
    ("names", "commands", "left_out"),
    [
        ((), [], ()),
        (("SLACK_TOKEN",), [], ("SLACK_TOKEN",)),
        (("SLACK_TOKEN", "SLACK_CHANNEL"), ["send-report", "monitor"], ()),
        (("SLACK_WEBHOOK_URL",), ["monitor"], ()),
        (("SLACK_TOKEN", "SLACK_WEBHOOK_URL"), ["monitor"], ("SLACK_TOKEN",)),
        (("TEAMS_WEBHOOK_URL",), ["monitor"], ()),
        (("TEAMS_WEBHOOK_URL", "SLACK_WEBHOOK_URL"), ["monitor"], ("TEAMS_WEBHOOK_URL",)),
        (("TEAMS_WEBHOOK_URL", "SLACK_TOKEN"), ["monitor"], ("SLACK_TOKEN",)),
        (("S3_BUCKET",), ["send-report"], ()),
        (("GCS_BUCKET", "TEAMS_WEBHOOK_URL"), ["send-report", "monitor"], ()),
    ],
)
def test_only_what_is_configured_is_sent(
    names: tuple[str, ...], commands: list[str], left_out: tuple[str, ...]
) -> None:
    environment = {f"ELEMENTARY_{name}": f"value of {name}" for name in names}
    assert elementary.sending(environment) == commands
    config = elementary.configuration(environment)
    assert config["anonymous_usage_tracking"] is False
    assert config["run_dbt_deps_if_needed"] is False
    told = {value for section in config.values() if isinstance(section, dict) for value in section.values()}
    assert told == {f"value of {name}" for name in names if name not in left_out}, (
        "edr would refuse, or fail, with more"
    )


def test_a_hub_that_does_not_answer_leaves_the_packages_of_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from growth import dbt

    install(folder, *packages.NAMES)
    monkeypatch.setenv("GROWTH_HOME", str(folder.parent / "home"))
    failed = dbt.DbtResult(succeeded=False, node_count=0, failures=(), error="no answer")
    monkeypatch.setattr(dbt, "invoke", lambda *_arguments, **_settings: failed)
    with pytest.raises(packages.PackagesUnavailable, match="no answer"):
        packages.fetch()
    assert packages.elementary_version() == "0.26.1"
    assert sorted(path.name for path in folder.parent.iterdir()) == ["packages"]


def test_a_hub_that_cannot_be_reached_is_told_in_two_lines(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "GROWTH_HOME": str(tmp_path / "home"),
        "DBT_PACKAGES_DIR": str(tmp_path / "packages"),
        "DBT_PACKAGE_HUB_URL": "http://127.0.0.1:9/",  # nobody listens
        "NO_PROXY": "127.0.0.1",
    }
    growth = Path(sys.executable).with_name("growth")
    done = subprocess.run([growth, "deps"], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("growth: The dbt packages could not be fetched: ")
    assert done.stderr.endswith("\nHow to bring them by hand: docs/elementary.md.\n")
    assert done.stderr.count("\n") == 2


def test_the_newest_reports_stay_and_older_copies_go(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edr(_warehouse: Warehouse, arguments: list[str]) -> None:
        path = Path(arguments[arguments.index("--file-path") + 1])
        assert path.suffix == ".html", "edr writes to no other file"
        path.write_text(f"report {written}")
        if written == 2:
            killed.write_text("half of a page")
            os.utime(killed, (0, 0))

    monkeypatch.setattr(elementary, "_edr", edr)
    monkeypatch.setattr(elementary, "KEPT_REPORTS", 3)
    begin = datetime(2026, 1, 30, 4, tzinfo=UTC)
    reports_of_it = tmp_path / "reports" / "elementary"
    killed = reports_of_it / ".part-1a2b3c4d.index.html"
    for written in range(5):
        newest = elementary.write_report(Warehouse.at("none", 0), begin + timedelta(days=written))
        assert newest.read_text() == f"report {written}"
    kept = ["2026-02-01T040000.html", "2026-02-02T040000.html", "2026-02-03T040000.html"]
    assert sorted(path.name for path in reports_of_it.iterdir()) == [*kept, "index.html"]
    assert [path.read_text() for path in elementary.dated_reports()] == ["report 4", "report 3", "report 2"]
    assert elementary.written_at(elementary.dated_reports()[0]) == begin + timedelta(days=4)
