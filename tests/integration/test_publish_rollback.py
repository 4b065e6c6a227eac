"""What a publication keeps of the one before it, and how that comes back."""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest
from support.candidates import MARTS, Candidates

from growth.mart_tables import PublishRefused
from growth.publish import MartChanged
from growth.settings import Warehouse, feeds_folder
from growth.warehouse import initialise
from ingest.contract_files import load_contracts

RECORDS = """
select is_rollback, restored_publication_id, as_of_date::text, rules_version, row_counts, changed_counts
from mart.publications order by publication_id
"""
KEPT = "select relname from pg_class where relnamespace = 'mart_previous'::regnamespace order by 1"


@pytest.fixture
def candidates(warehouse: Warehouse) -> Candidates:
    return Candidates(warehouse).prepare()


def test_a_rollback_restores_the_publication_before_and_is_recorded(candidates: Candidates) -> None:
    first = candidates.fill(1, 2, 3).publish()
    before = candidates.rows("daily"), candidates.rows("totals")
    candidates.execute("update dwh._model_versions set version = 'two'")
    candidates.fill(1, 5).publish()
    assert candidates.rows() == [(0, 1), (1, 5)]

    result = candidates.rollback()
    assert (candidates.rows("daily"), candidates.rows("totals")) == before
    assert result.restored_publication_id == first.publication_id
    assert str(result.as_of_date) == "2024-01-04"
    assert candidates.query(RECORDS) == [
        (False, None, "2024-01-04", "one", {"daily": 3, "totals": 1}, {"daily": 3, "totals": 1}),
        # a value changed and a row gone; the sum stayed the same
        (False, None, "2024-01-03", "two", {"daily": 2, "totals": 1}, {"daily": 2, "totals": 0}),
        (True, first.publication_id, "2024-01-04", "one", {"daily": 3, "totals": 1}, {"daily": 2}),
    ]
    assert candidates.query("select run_id from mart.publications where is_rollback") == [("undo",)]


def test_a_second_rollback_is_refused_until_something_is_published(candidates: Candidates) -> None:
    with pytest.raises(PublishRefused, match="Nothing to roll back"):
        candidates.rollback()
    candidates.fill(1).publish()
    with pytest.raises(PublishRefused, match="is the first"):
        candidates.rollback()
    candidates.fill(2).publish()
    candidates.rollback()
    image = candidates.image()
    with pytest.raises(PublishRefused, match="a rollback already"):
        candidates.rollback()
    assert candidates.image() == image
    candidates.publish()
    assert candidates.rows() == [(0, 2)]
    candidates.rollback()
    assert candidates.rows() == [(0, 1)]


def test_only_marts_that_changed_are_kept(candidates: Candidates) -> None:
    candidates.fill(1, 2).publish()
    assert candidates.query(KEPT, "transform") == []
    candidates.fill(2, 1).publish()  # the same sum
    assert candidates.query(KEPT, "transform") == [("daily",)]
    candidates.fill(2, 1, 0).publish()
    assert candidates.query("select count(*) from mart_previous.daily", "transform") == [(2,)]


def test_a_publication_that_changes_nothing_leaves_rows_and_what_is_kept(candidates: Candidates) -> None:
    candidates.fill(1).publish()
    candidates.fill(2).publish()
    places = "select ctid::text, xmin::text from mart.daily"
    before = candidates.query(places)
    again = candidates.fill(2).publish()
    assert again.changed_counts == {"daily": 0, "totals": 0}
    assert candidates.query(places) == before
    candidates.rollback()
    assert candidates.rows() == [(0, 1)]


def test_copies_of_a_row_nulls_and_the_last_digit_count(candidates: Candidates) -> None:
    candidates.fill().execute("insert into mart_candidate.daily values (1, 1), (1, 1), (null, null), (2, 1.0)")
    candidates.publish()
    candidates.execute("delete from mart_candidate.daily where ctid = (select min(ctid) from mart_candidate.daily)")
    candidates.execute("update mart_candidate.daily set amount = 1.00 where day = 2")
    candidates.execute("insert into mart_candidate.daily values (null, null), (null, null)")
    assert candidates.publish().changed_counts["daily"] == 3
    expected = [(1, Decimal(1)), (2, Decimal("1.00")), *[(None, None)] * 3]
    assert [tuple(map(str, row)) for row in candidates.rows()] == [tuple(map(str, row)) for row in expected]


def test_rolling_back_what_added_a_mart_must_be_forced(candidates: Candidates) -> None:
    candidates.fill(1)
    candidates.publish(marts=("daily",))
    candidates.fill(2).publish()
    image = candidates.image()
    with pytest.raises(PublishRefused, match=r"first with mart\.totals"):
        candidates.rollback()
    assert candidates.image() == image
    assert candidates.rollback(force=True).left == ["totals"]
    assert (candidates.rows("daily"), candidates.rows("totals")) == ([(0, 1)], [("all", 2)])


@pytest.mark.parametrize("first", [("daily", "totals"), ("daily",)])
@pytest.mark.parametrize("dropped", ["mart.totals", "mart.totals, mart_previous.totals"])
def test_a_mart_that_was_taken_out_stays_out(candidates: Candidates, first: tuple[str, ...], dropped: str) -> None:
    candidates.fill(1).publish(marts=first)
    candidates.fill(2).publish()
    candidates.publish(marts=("daily",))  # changes nothing, so that what is kept of both stays
    for table in dropped.split(", "):
        candidates.execute(f"drop table if exists {table}")
    assert candidates.rollback().left == []
    assert candidates.rows("daily") == [(0, 1)]
    assert candidates.query("select to_regclass('mart.totals')", "transform") == [(None,)]
    newest = "select row_counts from mart.publications order by publication_id desc limit 1"
    assert candidates.query(newest, "transform") == [({"daily": 1},)]


def test_a_column_added_by_the_publication_is_null_after_its_rollback(candidates: Candidates) -> None:
    candidates.fill(1).publish()
    candidates.execute("alter table mart_candidate.daily add column note text default 'new'")
    candidates.publish()
    assert candidates.rows() == [(0, 1, "new")]
    candidates.rollback()
    assert candidates.rows() == [(0, 1, None)]


def test_a_column_that_was_forced_away_comes_back(candidates: Candidates) -> None:
    candidates.fill(1).publish()
    candidates.execute("alter table mart_candidate.daily drop column amount")
    candidates.publish(force=True)
    candidates.rollback()
    assert candidates.rows() == [(0, 1)]


def test_a_forced_type_is_taken_back_by_force_only(candidates: Candidates) -> None:
    candidates.fill(1).publish()
    candidates.execute("alter table mart_candidate.daily alter column day type text")
    candidates.publish(force=True)
    image = candidates.image()
    with pytest.raises(MartChanged, match=r"mart\.daily\.day is text, but integer in mart_previous"):
        candidates.rollback()
    assert candidates.image() == image
    candidates.rollback(force=True)
    assert candidates.query("select day + 1, amount from mart.daily") == [(1, 1)]


def test_rows_that_someone_dropped_cannot_come_back(candidates: Candidates) -> None:
    candidates.fill(1).publish()
    candidates.fill(2).publish()
    candidates.execute("drop table mart_previous.totals")
    image = candidates.image()
    with pytest.raises(PublishRefused, match=r"mart_previous\.totals was dropped"):
        candidates.rollback()
    assert candidates.image() == image


def test_analyst_cannot_read_what_is_kept(candidates: Candidates) -> None:
    candidates.fill(1).publish()
    candidates.fill(2).publish()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        candidates.query("select * from mart_previous.daily")


def test_a_warehouse_of_before_gains_the_columns_and_can_go_back_to_what_it_had(candidates: Candidates) -> None:
    candidates.fill(1).publish()
    candidates.execute(
        "alter table mart.publications drop column changed_counts, drop column is_rollback, "
        "drop column restored_publication_id; drop schema mart_previous"
    )
    for _ in range(2):
        initialise(candidates.warehouse, load_contracts(feeds_folder()))
    with pytest.raises(PublishRefused, match="Nothing to roll back"):
        candidates.rollback()
    candidates.fill(2).publish()
    candidates.rollback()
    assert candidates.rows() == [(0, 1)]
    assert candidates.query("select is_rollback, changed_counts is null from mart.publications order by 1, 2 desc") == [
        (False, True),
        (False, False),
        (True, False),
    ]


def test_a_publication_or_rollback_that_breaks_off_leaves_mart_as_it_was(candidates: Candidates) -> None:
    candidates.fill(1).publish()
    candidates.fill(2).publish()
    image = candidates.image()
    # totals is written after daily
    candidates.execute("alter table mart.totals add constraint small check (amount in (1, 2))")
    candidates.fill(3)
    with pytest.raises(psycopg.errors.CheckViolation):
        candidates.publish()
    assert candidates.image() == image
    candidates.execute("alter table mart.totals drop constraint small, add constraint large check (amount > 1)")
    with pytest.raises(psycopg.errors.CheckViolation):
        candidates.rollback()
    assert candidates.image() == image
    candidates.execute("alter table mart.totals drop constraint large")
    candidates.rollback()
    assert candidates.rows() == [(0, 1)]
    assert set(MARTS) == set(candidates.query("select row_counts from mart.publications")[0][0])
