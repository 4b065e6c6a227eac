"""Tables of Elementary's package that quote people, without the package."""

from __future__ import annotations

import psycopg

# What Elementary's package writes into its tables, as it writes it: errors of dbt, rows that failed a test (JSON, in
# which numbers have no quotes), groups of a monitor.
QUOTED = {
    "dbt_run_results": ("message text", ["DETAIL:  Key (user_id)=({}) already exists.", 'bigint: "{}"']),
    "elementary_test_results": ("result_rows text", ['[{{"userid": 1, "n": 2}}, {{"userid": {}}}]']),
    "test_result_rows": ("result_row text", ['{{"userid": {}, "medium": null}}', '{{"n": 1, "user_id": "{}"}}']),
    "data_monitoring_metrics": ("dimension_value character varying(4096)", ["{}"]),
}


def quote_in_elementary(conn: psycopg.Connection, *users: str) -> None:
    """The tables of Elementary, with every kind of text that quotes a user."""
    conn.execute("create schema elementary")
    for table, (column, texts) in QUOTED.items():
        conn.execute(f"create table elementary.{table} ({column}, failures bigint)".encode())
        for text in [text.format(user) for user in users for text in texts]:
            conn.execute(f"insert into elementary.{table} values (%s, 7)".encode(), [text])
