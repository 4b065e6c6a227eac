"""All metrics of one scrape: each source by itself, so that one that is down takes none of the others with it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import psycopg
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from growth.metrics.airflow import AIRFLOW
from growth.metrics.facts import gauge, read
from growth.metrics.local import disks, limits
from growth.metrics.warehouse import WAREHOUSE
from growth.settings import Warehouse
from ingest.errors import IngestError

Source = Callable[[], Iterable[Metric]]


class Exporter(Collector):
    """Asks every source at each scrape; nothing is kept between two of them."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        """What the sources say, whether each could, and how long it took."""
        up: dict[tuple[str, ...], float] = {}
        seconds: dict[tuple[str, ...], float] = {}
        for name, source in self._sources.items():
            begin = time.monotonic()
            try:
                yield from list(source())
                up[(name,)] = 1
            except (psycopg.Error, OSError, IngestError) as error:
                print(f"metrics of {name}: {str(error).strip()}", file=sys.stderr)
                up[(name,)] = 0
            seconds[(name,)] = time.monotonic() - begin
        yield gauge("growth_source_up", "Whether the source of metrics could be read.", ("source",), up)
        yield gauge("growth_source_seconds", "How long reading it took.", ("source",), seconds)


def sources(warehouse: Warehouse, metadata: str | None, places: Mapping[str, Path]) -> dict[str, Source]:
    """The sources of this installation.

    Args:
        warehouse: read as analyst.
        metadata: connection string of Airflow's metadata database; None where there is none.
        places: folders whose disks are watched, by name.
    """
    found: dict[str, Source] = {
        "warehouse": lambda: read(warehouse.conninfo("analyst"), WAREHOUSE),
        "limits": limits,
        "disk": lambda: disks(places),
    }
    if metadata:
        found["airflow"] = lambda: read(metadata, AIRFLOW)
    return found
