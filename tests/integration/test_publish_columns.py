"""Columns that come, go or change their type, and what users have built on them."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest
from support.candidates import MARTS, Candidates

from growth import mart_tables
from growth.mart_tables import PublishRefused
from growth.publish import MartChanged
from growth.settings import Warehouse

COMMENTS = """
select obj_description('mart.daily'::regclass), col_description('mart.daily'::regclass, 1),
    col_description('mart.daily'::regclass, 2)
"""


@pytest.fixture
def candidates(warehouse: Warehouse) -> Candidates:
    return Candidates(warehouse).prepare().fill(1, 2)


def test_comments_follow_and_those_of_users_stay(candidates: Candidates) -> None:
    candidates.publish()
    assert candidates.query(COMMENTS) == [("Amount per day.", "The day.", None)]
    candidates.execute("comment on column mart.daily.amount is 'Ask Ann.'; comment on table mart.totals is 'Mine.'")
    candidates.execute(
        "comment on column mart_candidate.daily.day is 'Day, counted from 0.';"
        "comment on table mart_candidate.daily is 'It''s the amount.'"
    )
    candidates.publish()  # no row changes
    assert candidates.query(COMMENTS) == [("It's the amount.", "Day, counted from 0.", "Ask Ann.")]
    assert candidates.query("select obj_description('mart.totals'::regclass)") == [("Mine.",)]


def test_views_materialised_views_and_grants_survive_publications_and_rollbacks(candidates: Candidates) -> None:
    candidates.publish()
    candidates.execute(
        "create view public.doubled as select day, amount * 2 as amount from mart.daily;"
        "create materialized view public.frozen as select * from mart.totals;"
        "create index on mart.daily (day);"
        "do $$ begin if to_regrole('guest') is null then create role guest; end if; end $$;"
        "grant usage on schema mart to guest; grant select on mart.daily to guest;"
        "grant select (name) on mart.totals to guest; grant select on public.doubled, public.frozen to analyst;",
        role=None,
    )
    grants = "select relname, relacl::text from pg_class where relname in ('daily', 'totals', 'doubled') order by oid"
    before = candidates.query(grants)
    column = "select attacl::text from pg_attribute where attrelid = 'mart.totals'::regclass and attname = 'name'"
    assert "guest" in candidates.query(column)[0][0]

    candidates.execute("alter table mart_candidate.daily add column note text")
    candidates.fill(5).publish()
    assert candidates.query("select * from public.doubled") == [(0, 10)]
    assert candidates.query("select * from public.frozen") == [("all", 3)]
    candidates.execute("refresh materialized view public.frozen", role=None)
    assert candidates.query("select * from public.frozen") == [("all", 5)]
    candidates.rollback()
    assert candidates.query("select * from public.doubled order by 1") == [(0, 2), (1, 4)]
    assert candidates.query(grants) == before
    assert "guest" in candidates.query(column)[0][0]
    assert candidates.query("select count(*) from pg_indexes where schemaname = 'mart' and tablename = 'daily'") == [
        (1,)
    ]
    candidates.execute("drop owned by guest", role=None)


def test_a_refusal_names_every_column_its_views_and_the_way_out(candidates: Candidates) -> None:
    candidates.publish()
    candidates.execute("create view public.days as select day from mart.daily", role=None)
    candidates.execute('create materialized view public."Over Days" as select * from public.days', role=None)
    candidates.execute(
        "alter table mart_candidate.daily drop column day; alter table mart_candidate.totals alter amount type float"
    )
    image = candidates.image()
    with pytest.raises(MartChanged) as caught:
        candidates.publish()
    text = str(caught.value)
    assert "mart.daily.day is published, but mart_candidate.daily lacks it." in text
    assert "mart.totals.amount is numeric, but double precision in mart_candidate." in text
    assert "Used by public.days." in text
    assert "growth publish --force" in text
    assert candidates.image() == image


def test_force_takes_columns_away_but_never_from_under_a_view(candidates: Candidates) -> None:
    candidates.publish()
    candidates.execute("create view public.days as select day from mart.daily", role=None)
    candidates.execute("create view public.amounts as select amount from mart.daily", role=None)
    candidates.execute("grant select on public.amounts to analyst", role=None)
    candidates.execute("alter table mart_candidate.daily drop column day")
    image = candidates.image()
    with pytest.raises(MartChanged, match=r"Used by public\.days\. A forced"):
        candidates.publish(force=True)
    assert candidates.image() == image
    candidates.execute("drop view public.days", role=None)
    publication = candidates.publish(force=True)
    assert publication.changed_counts == {"daily": 2, "totals": 0}
    assert candidates.rows() == [(1,), (2,)]
    assert candidates.query("select * from public.amounts order by 1") == [(1,), (2,)]


def test_force_gives_a_column_its_new_type(candidates: Candidates) -> None:
    candidates.publish()
    candidates.execute("alter table mart_candidate.daily alter column day type text using 'd' || day")
    candidates.publish(force=True)
    assert candidates.query("select day, amount from mart.daily order by 1") == [("d0", 1), ("d1", 2)]
    assert candidates.query("select count(*) from mart.daily where col_description(tableoid, 3) = 'The day.'") == [(2,)]
    candidates.publish()  # it fits now


def test_a_function_that_uses_a_column_stops_force_too(candidates: Candidates) -> None:
    candidates.publish()
    candidates.execute(
        "create function public.newest() returns int language sql begin atomic select max(day) from mart.daily; end",
        role=None,
    )
    candidates.execute("alter table mart_candidate.daily drop column day")
    image = candidates.image()
    with pytest.raises(PublishRefused, match=r"function (public\.)?newest\(\)"):
        candidates.publish(force=True)
    assert candidates.image() == image


def test_a_candidate_that_was_never_built_takes_no_column_away(candidates: Candidates) -> None:
    candidates.publish()
    candidates.execute("drop table mart_candidate.totals")
    image = candidates.image()
    with pytest.raises(PublishRefused, match=r"mart_candidate\.totals does not exist"):
        candidates.publish(force=True)
    assert candidates.image() == image


@pytest.mark.alone
def test_a_new_column_waits_for_a_long_reader_and_nobody_waits_for_it(candidates: Candidates) -> None:
    candidates.publish()
    candidates.execute("alter table mart_candidate.daily add column note text default 'new'")
    publisher = threading.Thread(target=candidates.publish)
    with (
        psycopg.connect(candidates.warehouse.conninfo("analyst")) as slow,
        psycopg.connect(candidates.warehouse.conninfo("analyst"), autocommit=True) as quick,
    ):
        assert slow.execute("select count(*) from mart.daily").fetchone() == (2,)
        quick.execute("set lock_timeout = '2s'")
        publisher.start()
        end = time.monotonic() + 3
        while time.monotonic() < end:  # a reader that queued behind the publisher would fail
            assert quick.execute("select count(*) from mart.daily").fetchone() == (2,)
        assert publisher.is_alive()
        slow.rollback()
        publisher.join(timeout=30)
    assert candidates.query("select note from mart.daily") == [("new",), ("new",)]


def test_a_reader_that_never_ends_stops_the_publication_and_not_the_readers(
    candidates: Candidates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mart_tables, "PATIENCE_SECONDS", 0.5)
    candidates.publish()
    candidates.execute("alter table mart_candidate.daily drop column day")
    image = candidates.image()
    with psycopg.connect(candidates.warehouse.conninfo("analyst")) as slow:
        slow.execute("select count(*) from mart.daily")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            candidates.publish(force=True)
    assert candidates.image() == image
    candidates.publish(force=True)
    assert set(MARTS) == set(candidates.query("select changed_counts from mart.publications limit 1")[0][0])
