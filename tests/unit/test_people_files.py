"""Ids are written over in our own files, and found in those that were delivered; other texts are left alone."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

import pytest

from growth import people_files
from growth.people import People
from growth.settings import feeds_folder
from ingest.contract_files import load_contracts


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "LANDING", "REPORTS"):
        monkeypatch.setenv(f"GROWTH_{name}", str(tmp_path / name.lower()))
    monkeypatch.delenv("AIRFLOW_HOME", raising=False)


def of(*users: str) -> People:
    return People("customer", users, tuple(load_contracts(feeds_folder()).values()), is_only=True)


@pytest.mark.parametrize(
    ("user", "before", "after"),
    [
        ("bob@example.com", "for bob@example.com, not abob@example.com", "for xxxxxxxxxxxxxxx, not abob@example.com"),
        ("8731190", '{"id": 8731190, "n": 87311900}', '{"id": 0000000, "n": 87311900}'),
        ("731", '731 rows in 7.731 s, invalid: "731", key (customer, 731)', None),
        ("731", "where userid = 1731", "where userid = 1731"),
    ],
)
def test_ids_are_written_over_where_they_are_ids(tmp_path: Path, user: str, before: str, after: str | None) -> None:
    log = tmp_path / "home" / "logs" / "run.log"
    log.parent.mkdir(parents=True)
    log.write_text(before)
    after = after or '731 rows in 7.731 s, invalid: "000", key (customer, 000)'
    assert people_files.write_over(of(user)) == ([log] if after != before else [])
    assert log.read_text() == after


def test_an_elementary_report_has_its_data_packed(tmp_path: Path) -> None:
    page = tmp_path / "reports" / "elementary" / "index.html"
    page.parent.mkdir(parents=True)

    def packed(user: str) -> str:
        data = json.dumps({"message": f'bigint: "{user}"', "n": 7310})
        return f"<script>data = JSON.parse(atob('{base64.b64encode(data.encode()).decode()}'));</script>"

    for user, masked in (("8731190", "0000000"), ("731", "000")):
        page.write_text(packed(user))
        assert people_files.write_over(of(user)) == [page]
        assert page.read_text() == packed(masked)
        assert people_files.write_over(of(user)) == []


def test_delivered_files_are_found_by_the_column_of_users(tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    contents = {
        "sessions/theirs.csv": b"TIME_STARTED,userid\n2024-01-01, 042 \n",
        "sessions/others.csv": b"userid,time_started,medium\n1,2024-01-01,42\n",
        "sessions/unnamed.csv": b"42,2024-01-01\n",
        "sessions/unfinished.csv.part": b"userid,time_started\n42,2024-01-01\n",
        "sessions/unfinished.csv.GZ.TMP": gzip.compress(b"userid,time_started\n42,2024-01-01\n"),
        "_archive/sessions/again.csv.gz.2": gzip.compress(b"userid,time_started\n42,2024-01-01\n"),
        "sessions/broken.csv.gz": b"userid\n42\n",
        "sessions/page.parquet": b"42 pages",
        "sessions/long.csv.gz": gzip.compress(
            b"userid,time_started,medium\n1,2024-01-01,%b\n42,,\n" % (b"x" * 200_000)
        ),
        "sessions/cut off.csv.gz": gzip.compress(b"userid,time_started\n42,2024-01-01\n")[:-9],
        "events/theirs.csv": b'event_time,user_id\n2024-01-01,"\n42"\n',
        "events/others.csv": b"event_time,user_id\n2024-01-01,042\n",
    }
    for name, content in contents.items():
        path = landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    found = {path.path.relative_to(landing).as_posix(): path.is_sure for path in people_files.delivered(of("42"))}
    assert found == {
        **{name: True for name in contents if "others" not in name},
        **{f"sessions/{name}": False for name in ("broken.csv.gz", "page.parquet", "cut off.csv.gz")},
    }
