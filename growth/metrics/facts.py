"""Rows of a query as metrics: label columns say of what, every other column is a metric of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psycopg
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

# A scrape waits for nobody: what takes longer is missing this time, and said to be.
TIMEOUT = "5s"


@dataclass(frozen=True, slots=True)
class Facts:
    """A query and the metrics that it gives.

    ``helps`` has the text of each metric by its column. Its name is ``prefix`` and the column; one that ends in
    ``_total`` is a counter. A null is no sample.
    """

    prefix: str
    labels: tuple[str, ...]
    helps: Mapping[str, str]
    query: str


def read(conninfo: str, facts: Iterable[Facts]) -> list[Metric]:
    """Ask for all of them in one read-only transaction, so that they agree.

    Raises:
        psycopg.Error: no connection, a query failed or took too long.
    """
    with psycopg.connect(conninfo) as conn:
        conn.read_only = True
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        conn.execute(f"set statement_timeout = '{TIMEOUT}'")
        return [metric for each in facts for metric in _read(conn, each)]


def gauge(name: str, text: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], float]) -> Metric:
    """A gauge with a value for each combination of labels."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _read(conn: psycopg.Connection, facts: Facts) -> list[Metric]:
    cursor = conn.execute(facts.query.encode())
    columns = [column.name for column in cursor.description or ()]
    rows = [dict(zip(columns, row, strict=True)) for row in cursor]
    metrics: list[Metric] = []
    for column, text in facts.helps.items():
        kind = CounterMetricFamily if column.endswith("_total") else GaugeMetricFamily
        family = kind(f"{facts.prefix}_{column}", text, labels=facts.labels)
        for row in rows:
            if row[column] is not None:
                family.add_metric([str(row[label]) for label in facts.labels], float(row[column]))
        metrics.append(family)
    return metrics
