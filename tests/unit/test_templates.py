"""What the server writes by a template has every part of it; what lacks a part has not."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from support.postgres import PostgresServer

from ingest.templates import template_pattern

TIMES = ("0999-12-01 00:00:00", "2024-01-05 09:08:07.06", "2024-10-31 23:59:59.999999", "9999-02-28 12:00:00")
TEMPLATES = (
    "YYYY-MM-DD",
    "yyyy/mm/dd hh24:mi",
    "DD Mon YYYY",
    "FMDDth FMMonth YYYY, HH12:MI:SS AM",
    "Month DD, YYYY P.M. HH:MI",
    "Day DD MON YYYY",
    "Dy, DD TMMon YYYY",
    "YYYYMMDDHH24MISSMS",
    "DDMonYYYY",
    "MonthDD YYYY",
    'YYYY-MM-DD"T"HH24:MI:SS.US"Z"',
    "YYYY-MM-DD HH24:MI:SSTZH:TZM",
    "YYYY-MM-DD HH24:MI:SS.FF3 TZ",
    "YYYY.DDD SSSSS",
    'IYYY-"W"IW-ID',
    "DD.RM.YYYY",
    "Y,YYY-MM-DD",
    "YYYY年MM月DD日",
    "DD_MM_YY",
    "FXYYYY MM DD",
    "YYYY MM DD AD J",
)


@pytest.fixture(scope="module")
def conn(postgres_server: PostgresServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as conn:
        conn.execute("set timezone = 'UTC'")
        yield conn


def matches(conn: psycopg.Connection, text: str, template: str) -> bool:
    row = conn.execute("select %s::text ~* %s", [text, template_pattern(template)]).fetchone()
    assert row is not None
    return bool(row[0])


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_the_server_writes_has_every_part(conn: psycopg.Connection, template: str) -> None:
    query = "select to_char(at, %s) from unnest(%s::timestamptz[]) as at"
    texts = [text for (text,) in conn.execute(query, [template, list(TIMES)])]
    assert [text for text in texts if not matches(conn, text, template)] == []


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("YYYY-MM-DD", " 2024-1-5 "),
        ("YYYY-MM-DD", "2024/01/05"),
        ("DD Mon YYYY", "5 JAN 2024"),
        ("DD Mon YYYY", "05jan2024"),
        ("DD.MM.YY", "5.1.24"),
        ("YYYY-MM-DD HH24:MI", "2024-01-05 9:00"),
        ('"on" DD Mon YYYY', "On 05 Jan 2024"),
        ("YYYY-MM-DD HH24:MI TZ", "2024-01-05 10:00 CET"),
        ("YYYY-MM-DD HH24:MI TZ", "2024-01-05 10:00 +02:00"),
    ],
)
def test_parts_may_be_short_and_kept_apart_otherwise(conn: psycopg.Connection, template: str, text: str) -> None:
    assert matches(conn, text, template)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("DD.MM.YY HH24:MI:SS", "05.01.2024 09:30:11"),
        ("YYYY-MM-DD HH24:MI:SS.US", "2024-01-05 09:30:11"),
        ('YYYY-MM-DD"T"HH24:MI:SS.MS"Z"', "2024-01-05T09:30:11"),
        ('YYYY-MM-DD"T"HH24:MI:SS"Z"', "2024-01-05 09:30:11Z"),
    ],
)
def test_what_the_server_reads_right_all_the_same_is_fine(conn: psycopg.Connection, template: str, text: str) -> None:
    assert matches(conn, text, template)
    query = "select to_timestamp(%s, %s) = timestamptz '2024-01-05 09:30:11+00'"
    assert conn.execute(query, [text, template]).fetchone() == (True,)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("YYYY-MM-DD", "2024-00-15"),
        ("YYYY-MM-DD", "2024-01-00"),
        ("YYYY-MM-DD", "2024-01"),
        ("YYYY-MM-DD", "2024"),
        ("YYYY-MM-DD", "24-01-05"),
        ("YYYY-MM-DD", "02024-01-05"),
        ("YYYY-MM-DD", "2024-01-05 10:00"),
        ("YYYY-MM-DD", "20240105"),
        ("YYYYMMDD", "202401"),
        ("YYYYMMDD", "20240005"),
        ("YYYYMMDD", "2024115"),
        ("DD Mon YYYY", "05 Jan 24"),
        ("DD Mon YYYY", "05 2024"),
        ("DD Mon YYYY", "05 Jan 2024 B"),
        ("DD.MM.YY", "05.01.202"),
        ("DDMMYY", "05012024"),
        ("YYYY-MM-DD HH24:MI", "2024-01-05"),
        ("YYYY-DDD", "2024-000"),
        ("YYYY MM DD HH12 AM", "2024 01 05 11"),
        ("YYYY-MM-DD HH24:MI TZ", "2024-01-05 10:00 UTC+2"),
        ("YYYY-MM-DD HH24:MI TZ", "2024-01-05 10:00 GMT+0100"),
    ],
)
def test_a_part_that_is_missing_or_no_date_is_none(conn: psycopg.Connection, template: str, text: str) -> None:
    assert not matches(conn, text, template)
