"""The drills of docs/runbooks: what they promise comes true. That their commands run: test_shown_commands.py."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.pipeline import Pipeline

ROOT = Path(__file__).resolve().parents[2]
GROWTH = Path(sys.executable).parent / "growth"
GOOD = ["1,2024-03-01 09:00:00,true,PAID SEARCH", "2,2024-03-02 09:00:00,false,EMAIL"]
WRONG = ["1,2024-03-01 09:00:00,true,DIRECT", "2,2024-03-02 09:00:00,false,DIRECT"]
Growth = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of contracts and models, to be edited."""
    folder = tmp_path / "project"
    for name in ("dbt_project", "ingest/feeds"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("target", "logs"))
    return folder


@pytest.fixture
def growth(pipeline: Pipeline, project: Path, growth_home: Path) -> Growth:
    """The command line on the pipeline's warehouse and landing folder, with the project's copy."""
    environment = {**os.environ, **pipeline.warehouse.environment()}
    environment |= {"GROWTH_LANDING": str(pipeline.landing), "GROWTH_PROJECT": str(project)}
    environment["GROWTH_HOME"] = str(growth_home)

    def call(*arguments: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([GROWTH, *arguments], env=environment, text=True, capture_output=True, check=False)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done

    return call


def test_a_wrong_file_is_taken_back_and_out_and_the_right_one_published(pipeline: Pipeline, growth: Growth) -> None:
    pipeline.land("conversions", "a.csv", ["1,2024-03-01 10:00:00", "2,2024-03-02 10:00:00"])
    pipeline.land("sessions", "1.csv", GOOD[:1])
    before = pipeline.run().marts()
    path = pipeline.land("sessions", "2.csv", WRONG[1:])
    wrong = pipeline.run().marts()
    assert wrong != before

    growth("publish", "--rollback")
    published = {name: rows for name, rows in pipeline.marts().items() if not name.startswith(("dim_", "fct_"))}
    assert published.items() <= before.items()
    path.rename(path.with_name("2.csv.part"))
    assert "1 records taken out of raw" in growth("unload", "sessions/2.csv").stderr
    assert pipeline.run().marts() == before
    pipeline.land("sessions", "2.csv", GOOD[1:])
    assert pipeline.run().marts() not in (before, wrong)
    assert pipeline.query("select session_count from mart.channel_conversion where channel = 'EMAIL'") == [(1,)]


def test_a_gate_opens_once_what_its_runbook_says_was_done(pipeline: Pipeline, growth: Growth, project: Path) -> None:
    """Of a company without subscribers; one of its payments has a wrong clock."""
    right = "p1,1,2024-03-01,9.99,USD"
    pipeline.land("payments", "a.csv", [right, "p2,1,2199-03-01,5,USD"])
    growth("load", "--feeds", "payments")
    text = growth("rebuild-history", fails=True).stderr
    expected = ["events_not_in_future_payments (1 row)", "relationships_payments_user_id (2 rows)"]
    assert f"gate raw failed: {', '.join(expected)}." in text
    assert "docs/runbooks/gate_failed.md says what to do." in text

    pipeline.land("payments", "a.csv", [right])
    contract = project / "ingest" / "feeds" / "subscription" / "payments.yml"
    lines = contract.read_text().splitlines(keepends=True)
    contract.write_text("".join(line for line in lines if not line.strip().startswith("references:")))
    growth("sources")
    growth("load", "--feeds", "payments")
    growth("rebuild-history")
    growth("dbt", "build", "--target", "prod", "--exclude-resource-type", "test", "unit_test")
    assert "Warned, worth a look: payments_lie_within_subscriptions (1 row)." in growth("publish").stderr
    revenue = "select sum(revenue_amount)::text from mart.monthly_revenue where country = 'all' and plan = 'all'"
    assert pipeline.query(revenue, "analyst") == [("9.99",)]


def test_a_late_file_changes_its_day_and_no_other(pipeline: Pipeline) -> None:
    pipeline.land("sessions", "new.csv", [f"{user},2024-03-{user:02} 09:00:00,true,EMAIL" for user in range(1, 29)])
    pipeline.run()
    before = dict(pipeline.query("select activity_date, sum(session_count) from mart.acquisition_daily group by 1"))
    pipeline.land("sessions", "late.csv", ["99,2024-03-05 10:00:00,true,EMAIL"])
    pipeline.run()
    after = dict(pipeline.query("select activity_date, sum(session_count) from mart.acquisition_daily group by 1"))
    assert {str(day): after[day] - before[day] for day in after if after[day] != before[day]} == {"2024-03-05": 1}
    [(changed,)] = pipeline.query("select changed_counts from mart.publications order by publication_id desc limit 1")
    assert changed["acquisition_daily"] == 1


def test_a_new_column_is_reported_and_read_again_once_the_contract_has_it(
    pipeline: Pipeline, growth: Growth, project: Path
) -> None:
    path = pipeline.land("sessions", "new.csv", [])
    path.write_text(f"userid,time_started,is_paid,medium,country\n{GOOD[0]},CH\n")
    assert "not in the contract, not loaded: country" in growth("load").stderr
    contract = project / "ingest" / "feeds" / "acquisition" / "sessions.yml"
    column = "  - {name: country, type: text, nullable: true, description: Country of the visitor.}\n"
    contract.write_text(contract.read_text() + column)
    growth("sources")
    growth("unload", "sessions/new.csv")
    growth("load", "--feeds", "sessions")
    assert pipeline.query("select country from raw.sessions") == [("CH",)]


def test_a_renamed_column_is_refused_and_loads_once_it_is_an_alias(
    pipeline: Pipeline, growth: Growth, project: Path
) -> None:
    path = pipeline.land("sessions", "renamed.csv", [])
    path.write_text(f"userid,started_at,is_paid,medium\n{GOOD[0]}\n")
    assert "time_started" in growth("load", fails=True).stderr
    assert "REFUSED sessions/renamed.csv" in growth("status").stdout
    contract = project / "ingest" / "feeds" / "acquisition" / "sessions.yml"
    name = "  - name: time_started\n"
    contract.write_text(contract.read_text().replace(name, f"{name}    aliases: [started_at]\n"))
    growth("sources")
    growth("load")
    assert "REFUSED" not in growth("status").stdout
    assert pipeline.query("select userid from raw.sessions") == [(1,)]
