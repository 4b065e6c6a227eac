"""Measure how fast the dashboard is over a large warehouse, in a real browser.

``make bench-dashboard`` runs it, on a throw-away server with the settings of the embedded one. Engagement has the
events that are asked for, the other domains the usual sample. For each page: until something is painted, until all of
it is drawn, for the first reader after a publication and for the next one; and a change of a filter. The figures are
in bench/README.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.daily import EVENTS_PER_USER, SEED, new_warehouse, quiet, say, thin_extracts
from bench.daily import FEEDS as ENGAGEMENT
from bench.database import describe, new_database
from growth import dbt
from growth.load import load
from growth.publish import publish
from growth.settings import Warehouse
from sample_data import FEEDS, write_sample

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from support.browser import DESK, DRAWN, chromium
from support.dashboard import ADDRESSES
from support.serving import served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FIRST_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
PLOTS = "[...document.querySelectorAll('.stPlotlyChart .main-svg')].map(each => each.innerHTML).join()"
# the address changes at once, the charts when their rows are there; they are compared only when the page is at rest:
# writing them out at every frame would be most of what is measured
CHANGED = f"before => ({DRAWN.strip()})() && {PLOTS} !== before"
# page and a filter that applies to it
CHANGES = (
    ({"page": "Overview"}, "Product"),
    ({"page": "Engagement", "section": "Activity"}, "Product"),
    ({"page": "Engagement", "section": "Activity"}, "Country"),
    ({"page": "Engagement", "section": "Retention"}, "Country"),
    ({"page": "Attrition"}, "Product"),
)


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000, help="events of engagement")
    parser.add_argument("--days", type=int, default=360, help="days that they cover")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="growth-bench-"))
    os.environ["GROWTH_HOME"], os.environ["GROWTH_LANDING"] = str(folder / "home"), str(folder / "landing")
    try:
        with new_database() as conninfo:
            print(f"{describe(conninfo)}; {os.cpu_count()} cores", flush=True)
            warehouse = new_warehouse(conninfo, "dashboard")
            fill(warehouse, folder / "landing", arguments.events, arguments.days)
            with served("dashboard", warehouse, folder / "dashboard.log") as address, chromium() as browser:
                measure_pages(browser, address)
                measure_filters(browser, address)
    finally:
        shutil.rmtree(folder)


def fill(warehouse: Warehouse, landing: Path, events: int, days: int) -> None:
    """Write the sample, load, build and publish it."""
    say("writing the sample")
    users = max(events // EVENTS_PER_USER, 1000)
    write_sample(
        landing, users=users, days=days, seed=SEED, feeds=ENGAGEMENT, events=events, lead_days=0, is_daily=True
    )
    thin_extracts(landing, "")
    write_sample(landing, users=2000, days=days, seed=SEED, feeds=tuple(set(FEEDS) - set(ENGAGEMENT)))
    say("loading it")
    load(warehouse, FEEDS, "bench", quiet)
    say("building and publishing the marts")
    result = dbt.invoke(["build", "--quiet", "--exclude-resource-type", "test", "unit_test"], warehouse)
    if not result.succeeded:
        sys.exit(result.details)
    publication = publish(warehouse, "bench", dbt.mart_names())
    say(f"published {sum(publication.row_counts.values()):,} rows")


def measure_pages(browser: Browser, address: str) -> None:
    """Each page for a reader with an empty browser cache: as the first since the publication, then as the next."""
    print("page: first paint and all drawn, s; of the first reader, of the next")
    for parameters in ADDRESSES:
        url = f"{address}/?{urllib.parse.urlencode(parameters)}"
        times = [seconds for _ in range(2) for seconds in visit(browser, url)]
        print(f"    {' / '.join(parameters.values()):28s}" + "".join(f"{each:8.2f}" for each in times), flush=True)


def visit(browser: Browser, url: str) -> tuple[float, float]:
    """Seconds until the first paint and until everything is drawn."""
    page = new_page(browser)
    started = time.monotonic()
    page.goto(url)
    page.wait_for_function(DRAWN, timeout=60_000)
    drawn = time.monotonic() - started
    painted = page.evaluate(FIRST_PAINT) / 1000
    page.context.close()
    return painted, drawn


def measure_filters(browser: Browser, address: str) -> None:
    """From the click on a value of a filter until everything is drawn anew."""
    print("filter: median and most of its values, s, each chosen for the first time since the publication")
    for parameters, label in CHANGES:
        page = new_page(browser)
        page.goto(f"{address}/?{urllib.parse.urlencode(parameters)}")
        page.wait_for_function(DRAWN, timeout=60_000)
        times = [choose(page, label, index) for index in range(1, 4)]
        page.context.close()
        what = f"{' / '.join(parameters.values())}: {label.lower()}"
        print(f"    {what:36s}{statistics.median(times):8.2f}{max(times):8.2f}", flush=True)


def choose(page: Page, label: str, index: int) -> float:
    """Choose a value by its place in the list; seconds until everything is drawn."""
    page.get_by_label(label, exact=True).click()
    option = page.get_by_role("option").nth(index)
    before = page.evaluate(f"() => {PLOTS}")
    started = time.monotonic()
    option.click()
    page.wait_for_function(CHANGED, arg=before, timeout=60_000)
    return time.monotonic() - started


def new_page(browser: Browser) -> Any:
    """A tab of a browser that has seen nothing."""
    return browser.new_context(viewport=DESK).new_page()


if __name__ == "__main__":
    main()
