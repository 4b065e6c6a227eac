"""An error of Postgres that quotes a person is told by dbt without the person: printed, logged, kept, returned."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import psycopg
import pytest
from support.pipeline import Pipeline

from growth import dbt
from growth.masking import mask_chain
from growth.settings import feeds_folder
from ingest.contract_files import load_contracts
from ingest.copy import connect
from ingest.errors import WarehouseUnreachable

# Nobody else's text.
PERSON = "6600660066"
ERRORS = {
    f"insert into mart.people values ({PERSON})": "Key (user_id)=(…) already exists",
    "select cast(user_id || chr(120) as bigint) from mart.people": 'invalid input syntax for type bigint: "…"',
}


def test_dbt_says_nothing_of_whom_an_error_quotes(
    published: Pipeline, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DBT_LOG_LEVEL_FILE", "debug")
    with psycopg.connect(published.warehouse.conninfo("transform")) as conn:
        conn.execute("create table mart.people (user_id bigint primary key)")
        conn.execute(f"insert into mart.people values ({PERSON})".encode())
    told = []
    for statement, expected in ERRORS.items():
        # the id is in no statement, only in what the server says of it
        said = statement.replace(PERSON, f"{int(PERSON) - 1} + 1")
        result = dbt.invoke(["compile", "--inline", f"{{% do run_query('{said}') %}}"], published.warehouse)
        told.append(result.error + "".join(failure.message for failure in result.failures))
        assert expected in told[-1]
    printed = capfd.readouterr()
    logs = [path.read_text() for path in (Path(os.environ["GROWTH_HOME"]) / "dbt" / "logs").glob("dbt.log*")]
    for expected in ERRORS.values():
        assert expected in printed.out
        assert any(expected in log for log in logs)
    assert PERSON not in "".join([*told, printed.out, printed.err, *logs])


def test_a_traceback_of_ours_says_nothing_of_whom_an_error_quotes(published: Pipeline) -> None:
    people = f"create temp table people as select '{PERSON}x' as user_id"
    with pytest.raises(psycopg.Error, match=PERSON) as caught:
        published.query(f"{people}; select user_id::bigint from people")
    error = ValueError("not built")
    error.__cause__ = caught.value
    mask_chain(error)
    told = "".join(traceback.format_exception_only(caught.value))
    assert 'invalid input syntax for type bigint: "…"' in told
    assert PERSON not in told


def test_an_error_within_a_load_is_raised_once_and_without_the_record_it_came_from(published: Pipeline) -> None:
    contract, conninfo = load_contracts(feeds_folder())["sessions"], published.warehouse.conninfo("ingest")
    with pytest.raises(psycopg.errors.UndefinedTable) as caught, connect(conninfo, contract) as conn:
        conn.execute("select * from nowhere")
    assert caught.value.__cause__ is None, "or whoever follows the causes never ends"
    canceled = "do $$ begin raise 'canceled' using errcode = '57014'; end $$"
    with pytest.raises(WarehouseUnreachable, match="canceled") as unreachable, connect(conninfo, contract) as conn:
        conn.execute(canceled.encode())
    assert "CONTEXT" in str(unreachable.value.__cause__)
    assert "CONTEXT" not in str(unreachable.value)
