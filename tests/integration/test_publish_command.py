"""``growth publish`` as a user types it, on candidates that the models made."""

from __future__ import annotations

import sys
from collections.abc import Callable

import psycopg
import pytest
from support.candidates import Candidates
from support.pipeline import Pipeline

from growth import dbt
from growth.cli import main

SESSION = "1,2024-01-05 10:00:00,true,PAID SEARCH"
REGISTRATION = "1,2024-01-05 11:00:00"
SUM = "select sum(registration_count)::int from mart.channel_attribution"
Growth = Callable[..., tuple[int, str]]


@pytest.fixture
def growth(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Growth:
    """Run a command; returns exit code and standard error. Nothing goes to standard output, which is for results."""
    for name, value in pipeline.warehouse.environment().items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["growth", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        output, errors = capfd.readouterr()
        assert output == ""
        return int(ended.value.code or 0), errors

    return call


def test_publish_passes_the_gates_first_and_rollback_takes_it_back(pipeline: Pipeline, growth: Growth) -> None:
    code, text = growth("publish", "--rollback")
    assert (code, text.count("\n")) == (1, 1)
    assert "Nothing to roll back" in text
    pipeline.land("sessions", "a.csv", [SESSION])
    pipeline.land("conversions", "a.csv", [REGISTRATION])
    pipeline.run()
    pipeline.land("conversions", "b.csv", ["2,2024-01-06 11:00:00"])
    pipeline.load()
    pipeline.build()
    mart = Candidates(pipeline.warehouse)
    image = mart.image()

    spoil = "update mart_candidate.channel_attribution set registration_count = registration_count + {}"
    mart.execute(spoil.format(6))
    code, text = growth("publish", "--force")
    assert code == 1
    assert "channel_attribution_labels_sum_to_registrations" in text
    assert "Nothing was published: gate mart failed." in text
    assert mart.image() == image, "byte for byte"

    mart.execute(spoil.format(-6))
    code, text = growth("publish")
    assert code == 0, text
    assert "mart.channel_attribution: 2 rows, 2 changed" in text  # the share of the other, too
    assert mart.query(SUM) == [(2,)]

    code, text = growth("publish", "--rollback")
    assert code == 0, text
    assert "The marts are those of publication 1 again." in text
    assert mart.query(SUM) == [(1,)]
    assert growth("rebuild-history")[0] == 0
    assert mart.query("select split_part(run_id, ' ', 1) from mart.publications order by publication_id") == [
        ("test",),
        ("publish",),
        ("rollback",),
    ]


@pytest.mark.usefixtures("published")
def test_a_run_of_one_domain_is_in_the_way_of_others_only_by_their_own_files(pipeline: Pipeline) -> None:
    """The others' models have nothing to do with its files; but what they passed over of theirs is not published."""

    def passed_over() -> set[str]:
        for layer in ("staging", "dwh"):
            assert dbt.run_layer(layer, pipeline.warehouse, domains=["engagement"]).succeeded
        command = ["test", "--quiet", "--select", "test_name:loads_are_consumed"]
        result = dbt.invoke(command, pipeline.warehouse)
        assert len(result.checks) > 20
        return {failure.name for failure in result.failures}

    pipeline.land("events", "a.csv", ["2024-01-05 10:00:00,u,reward_search,flight,1.5,ios,,FR"])
    pipeline.load("events")
    assert passed_over() == set()
    pipeline.land("sessions", "b.csv", ["2,2024-01-05 10:00:00,true,EMAIL"])
    pipeline.load("sessions")
    found = passed_over()
    assert "loads_are_consumed_fct_sessions_" in found
    assert "loads_are_consumed_fct_user_channels_" in found, "by way of another model"
    assert not found & {"loads_are_consumed_fct_payments_", "loads_are_consumed_int_acquisition__registrations_"}


@pytest.mark.usefixtures("published")
def test_a_removed_column_is_published_by_force_once_no_view_uses_it(pipeline: Pipeline, growth: Growth) -> None:
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute("alter table mart.channel_conversion add column note text")
    with psycopg.connect(pipeline.warehouse.conninfo()) as conn:
        conn.execute("create view public.notes as select note from mart.channel_conversion")
    for options in (["publish"], ["publish", "--force"]):
        code, text = growth(*options)
        assert code == 1
        assert "mart.channel_conversion.note is published, but mart_candidate.channel_conversion lacks it." in text
        assert "public.notes" in text
    with psycopg.connect(pipeline.warehouse.conninfo()) as conn:
        conn.execute("drop view public.notes")
    code, text = growth("publish", "--force")
    assert code == 0, text
    with pytest.raises(psycopg.errors.UndefinedColumn):
        pipeline.query("select note from mart.channel_conversion", "analyst")
