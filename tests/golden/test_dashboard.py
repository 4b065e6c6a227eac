"""The dashboard shows what the marts have: each chart, each filter, each download, on the sample."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlglot
import yaml
from support.browser import DESK, PHONE, Reader, chromium
from support.dashboard import ADDRESSES, all_queries, downloads, reading, record_checks
from support.pipeline import Pipeline
from support.serving import served

from dashboard.panel import FEEDS
from dashboard.queries import overview, quality
from dashboard.query import FILTERS
from growth import table
from growth.publish import publish
from growth.settings import PROJECT_ROOT

MODELS = PROJECT_ROOT / "dbt_project" / "models"


@pytest.fixture
def lived(sample: Pipeline) -> Pipeline:
    """The sample after a run whose checks were recorded, and a record that was refused."""
    bad = [*("1,2024-02-01 10:00:00,true,DIRECT" for _ in range(40)), "one,2024-02-01 10:00:00,true,DIRECT"]
    sample.land("sessions", "bad.csv", bad)
    sample.load("sessions")
    record_checks(sample)
    return sample


@pytest.fixture
def look(lived: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function: address → screen."""
    with reading(lived, monkeypatch) as look:
        yield look


def test_queries_say_which_marts_they_read_and_exposures_name_them() -> None:
    exposed: set[str] = set()
    pages = set()
    for exposure in yaml.safe_load((MODELS / "exposures.yml").read_text())["exposures"]:
        exposed |= {ref.removeprefix("ref('").removesuffix("')") for ref in exposure["depends_on"]}
        pages.add(exposure["url"].rsplit("=", 1)[-1].replace("+", " "))
    built = {path.stem for path in (MODELS / "mart").rglob("*.sql")}
    asked = {mart for query in all_queries() for mart in query.marts}
    assert asked & built == exposed
    assert asked - built == {"publications", "load_history", "reject_summary", "gate_results"}
    assert pages <= {address["page"] for address in ADDRESSES}
    assert set(FEEDS) >= asked & built
    for query in all_queries():
        statement = query.sql
        for name in ("period_type", "segment_type", "attribution_model", "currency_code", "from_date", "to_date"):
            statement = statement.replace(f"%({name})s", "'x'")
        for name in FILTERS:
            statement = statement.replace(f"%({name})s", "'x'")
        parsed = sqlglot.parse_one(statement, dialect="postgres")
        read = {(each.db, each.name) for each in parsed.find_all(sqlglot.exp.Table)}
        inner = {each.alias for each in parsed.find_all(sqlglot.exp.CTE)}
        assert {name for schema, name in read if not schema} <= inner, query.sql
        assert {schema for schema, _ in read} - {""} == {"mart"}, query.sql
        assert {name for schema, name in read if schema} == set(query.marts), query.sql


def test_every_chart_shows_the_rows_of_its_mart_and_offers_them(look: Any, sample: Pipeline) -> None:
    seen = set()
    for address in ADDRESSES:
        screen = look(**address)
        assert not screen.texts("error")
        filled = set()
        for key, panel in screen.panels.items():
            seen |= set(panel.query.marts)
            assert panel.rows is not None, f"{key}: a mart of it does not exist"
            with psycopg.connect(sample.warehouse.conninfo("analyst")) as conn:
                cursor = conn.execute(panel.query.sql, panel.parameters)  # type: ignore[call-overload]
                columns = [column.name for column in cursor.description or ()]
                assert panel.rows.csv() == table.render(columns, cursor.fetchall(), "csv"), key
            counts = [sample.query(f"select count(*) from mart.{mart}")[0][0] for mart in panel.query.marts]
            assert bool(panel.rows.records) or not all(counts) or key == "refused", key
            filled |= {key} if panel.rows.records else set()
        assert downloads(screen) == filled
        assert set(screen.figures) <= filled
        assert len(screen.figures) + len(screen.app.dataframe) == len(filled)
        assert len(screen.texts("info")) == len(screen.panels) - len(filled)
        for key, figure in screen.figures.items():
            assert any(value is not None for trace in figure["data"] for value in _values(trace)), key
            # a browser would draw it twice otherwise
            assert "template" not in figure["layout"], key
            assert "datarevision" in figure["layout"], key
            assert "bdata" not in json.dumps(figure["data"]), key
    assert seen == {mart for query in all_queries() for mart in query.marts}


def _values(trace: dict[str, Any]) -> list[Any]:
    values = trace.get("z") or (trace["x"] if trace.get("orientation") == "h" else trace["y"])
    return [each for row in values for each in (row if isinstance(row, list) else [row])]


def test_each_filter_changes_the_numbers_to_what_sql_says(look: Any, sample: Pipeline) -> None:
    def asked(query: str) -> dict[Any, Any]:
        rows = dict(sample.query(query))
        assert rows, query
        return rows

    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "all all all all"),
        ({"product": "miles"}, "miles all all all"),
        ({"country": "US"}, "all US all all"),
        ({"platform": "ios"}, "all all ios all"),
        ({"category": "flight"}, "all all all flight"),
        ({"product": "miles", "country": "US", "category": "flight"}, "miles US all flight"),
        ({"dates": ["2024-02-01", "2024-02-15"]}, "all all all all"),
    ]
    shown = set()
    for chosen, slice_ in cases:
        screen = look(page="Engagement", **chosen)
        first, last = chosen.get("dates", ["2023-01-01", "2024-12-31"])
        product, country, platform, category = slice_.split()
        users = asked(
            "select period_start::text, active_user_count from mart.active_users where period_type = 'day'"
            f" and product = '{product}' and country = '{country}' and platform = '{platform}'"
            f" and category = '{category}' and period_start between '{first}' and '{last}'"
        )
        assert screen.series("active_users")["active users"] == users, chosen
        shown.add(str(users))
        ignored = {note for note in screen.texts("caption") if "Not filtered by" in note}
        assert bool(ignored) == bool({"country", "platform", "category"} & set(chosen)), chosen
    assert len(shown) == len(cases)

    # a mart has no slice of two at once: the first of them counts, and the chart says which does not
    screen = look(page="Engagement", product="miles", platform="ios", country="US")
    assert any("Not filtered by platform." in note for note in screen.texts("caption"))

    screen = look(page="Engagement", section="Growth", country="US", period="Month")
    churned = "select period_start::text, -churned_user_count from mart.growth_accounting where period_type = 'month'"
    assert screen.series("growth")["churned"] == asked(f"{churned} and product = 'all' and country = 'US'")
    hatches = next(trace for trace in screen.figures["growth"]["data"])["marker"]["pattern"]["shape"]
    assert hatches == [
        "" if whole else "/"
        for (whole,) in sample.query(
            "select is_complete from mart.growth_accounting where period_type = 'month' and product = 'all'"
            " and country = 'US' order by period_start"
        )
    ]
    assert "/" in hatches

    screen = look(page="Engagement", section="Retention", product="miles")
    cells = next(trace for trace in screen.figures["retention"]["data"])
    rates = sample.query(
        "select retention_rate::float from mart.retention_cohorts where period_type = 'week' and product = 'miles'"
        " and country = 'all' order by 1"
    )
    assert sorted(rate for row in cells["z"] for rate in row if rate is not None) == [rate for (rate,) in rates]
    assert any("*" in text for row in cells["text"] for text in row)

    screen = look(page="Acquisition", period="Day", dates=["2024-02-01", "2024-02-15"])
    sessions = "select activity_date::text, session_count::int from mart.acquisition_daily where channel = 'DIRECT'"
    span = "activity_date between '2024-02-01' and '2024-02-15'"
    assert screen.series("sessions")["DIRECT"] == asked(f"{sessions} and {span}")
    assert any("Not filtered by date range." in note for note in screen.texts("caption"))


@pytest.mark.parametrize(("country", "paid_without", "by_plan_without"), [("all", "", ""), ("FR", "plan", "country")])
def test_charts_that_no_plan_filters_say_so(
    look: Any, sample: Pipeline, country: str, paid_without: str, by_plan_without: str
) -> None:
    """Payments are known by country or by plan, subscriptions and cohorts by neither."""
    screen = look(page="Revenue", plan="basic", **({} if country == "all" else {"country": country}))
    plan = "basic" if country == "all" else "all"
    paid = dict(
        sample.query(
            "select month_start::text, (revenue_amount + refund_amount)::float from mart.monthly_revenue"
            f" where country = '{country}' and plan = '{plan}'"
        )
    )
    assert paid
    assert screen.series("revenue")["paid"] == pytest.approx(paid)
    assert {*screen.series("revenue_plans")} == {"basic"}
    of_neither = "plan" if country == "all" else "country, plan"
    without = {
        **dict.fromkeys(("revenue", "arpu"), paid_without),
        "revenue_plans": by_plan_without,
        **dict.fromkeys(("mrr_bridge", "mrr_movements", "subscribers", "subscriber_churn", "ltv"), of_neither),
        "revenue_cohorts": of_neither,
    }
    for key, names in without.items():
        assert screen.remark(key).partition("Not filtered by ")[2] == (names and f"{names}."), key
    assert {*without} == {*screen.panels}


def test_headlines_compare_whole_periods(look: Any, sample: Pipeline) -> None:
    [(before,), (now,)] = sample.query(
        "select active_user_count from mart.active_users where period_type = 'week' and is_complete"
        " and product = 'miles' and country = 'all' and platform = 'all' and category = 'all'"
        " and period_start in ('2024-02-12', '2024-02-19') order by period_start"
    )
    screen = look(page="Overview", product="miles")
    assert screen.metrics()["Weekly active users"] == (f"{now:,}", f"{now / before - 1:+.1%}")
    [(registrations,)] = sample.query(
        "select sum(registration_count)::int from mart.acquisition_daily"
        " where activity_date between '2024-02-19' and '2024-02-25'"
    )
    assert screen.metrics()["Weekly registrations"][0] == f"{registrations:,}"
    assert screen.app.get("error") == []
    # the week of 19 February begins in the range, and ends after it; so does the month
    within = look(page="Overview", product="miles", dates=["2024-01-01", "2024-02-21"]).metrics()
    assert within["Weekly active users"][0] == f"{before:,}"
    [(january,)] = sample.query(
        "select active_user_count from mart.active_users where period_type = 'month' and period_start = '2024-01-01'"
        " and product = 'miles' and country = 'all' and platform = 'all' and category = 'all'"
    )
    assert within["Monthly active users"][0] == f"{january:,}"


def test_the_date_range_ends_with_the_newest_day_of_all_data(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mart of months alone knows only their first days; and what ends earlier still shows its own newest day."""
    days = ["2024-02-01", "2024-03-05", "2024-03-31"]
    pipeline.land("payments", "a.csv", [f"p{n},u,{day},{n + 1}0.00,USD" for n, day in enumerate(days)])
    pipeline.run()
    with reading(pipeline, monkeypatch) as look:
        screen = look(page="Overview")
        [chosen] = screen.app.date_input
        assert chosen.value == (date(2024, 2, 1), date(2024, 3, 31))
        assert screen.metrics()["Revenue, USD"] == ("50", "+400.0%")
    days = [f"2024-03-{day:02}" for day in range(10, 26)]
    pipeline.land("events", "a.csv", [f"{day} 10:00:00,u,reward_search,flight,1.5,ios,,FR" for day in days])
    pipeline.run()
    with reading(pipeline, monkeypatch) as look:
        shown = {metric.label: metric for metric in look(page="Overview").app.metric}
        assert "As of 2024-03-25;" in shown["DAU, 7-day average"].help


@pytest.mark.parametrize(("first", "month"), [("2024-01-01", date(2024, 1, 1)), ("2024-02-10", date(2024, 2, 1))])
def test_people_are_those_of_the_newest_whole_month_of_the_range_or_of_its_newest(
    look: Any, first: str, month: date
) -> None:
    panels = look(page="Engagement", section="People", dates=[first, "2024-02-20"]).panels
    for key in ("segments", "countries"):
        assert {row[0] for row in panels[key].rows.records} == {month}, key


def test_the_newest_gates_are_those_of_the_newest_run_whatever_was_checked_since(lived: Pipeline) -> None:
    [(run_id, _, passed, warned, failed)] = lived.query(overview.GATES.sql)
    assert (run_id, passed, warned, failed) == ("r1", 2, 1, 0)
    assert [row[:3] for row in lived.query(quality.FINDINGS.sql)] == [("ageing", "e", "warn"), ("mart", "c", "warn")]
    assert [row[:2] for row in lived.query(quality.GATE_SECONDS.sql)] == [("mart", 2), ("raw", 1)]
    assert [row[1:] for row in lived.query(quality.GATE_HISTORY.sql)] == [("r1", "pass", 2), ("r1", "warn", 1)]


def test_definitions_are_the_descriptions_of_dbt(look: Any, sample: Pipeline) -> None:
    screen = look(page="Engagement", section="Growth")
    helps = [element.proto.help for element in screen.app.markdown]
    [(text,)] = sample.query(
        "select col_description('mart.growth_accounting'::regclass, attnum) from pg_attribute"
        " where attrelid = 'mart.growth_accounting'::regclass and attname = 'quick_ratio'"
    )
    assert sum(text in each for each in helps) == 1
    assert all("Source: `mart." in each for each in helps if each)
    assert sum(bool(each) for each in helps) >= len(screen.panels)


def test_a_warehouse_without_data_says_what_to_land(published: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    with reading(published, monkeypatch) as look:
        screen = look(page="Engagement")
        assert any("`landing/events/`, `landing/app_events/`" in text for text in screen.texts("info"))
        assert len(screen.texts("info")) == len(screen.panels)
        assert set(look(page="Acquisition").figures) >= {"attribution", "conversion", "sessions"}
        with psycopg.connect(published.warehouse.conninfo("transform")) as conn:
            conn.execute("delete from mart.publications")
        assert look(page="Overview").texts("info") == [
            "Nothing has been published yet. Land files, then run `growth run`."
        ]
        monkeypatch.setenv("WAREHOUSE_ANALYST_PASSWORD", "another")
        monkeypatch.setattr("dashboard.source.WAIT_SECONDS", 2)
        assert "does not answer" in look(page="Overview").texts("error")[0]


def test_what_is_not_loaded_whole_is_drawn_as_such(look: Any, sample: Pipeline) -> None:
    def hatches(screen: Any, key: str) -> set[str]:
        """Of all bars of a chart."""
        shapes = [trace["marker"].get("pattern", {}).get("shape", "") for trace in screen.figures[key]["data"]]
        return {shape for each in shapes for shape in each or [""]}

    with psycopg.connect(sample.warehouse.conninfo("transform")) as conn:
        conn.execute("update mart.mrr_movements set is_complete = false where month_start = '2024-02-01'")
        conn.execute(
            "update mart.rolling_active_users set is_complete_window_28d = false"
            " where as_of_date in ('2023-12-31', '2024-02-29')"
        )
    _, bridge = look(page="Revenue").figures["mrr_bridge"]["data"]
    assert bridge["marker"]["pattern"]["shape"] == [*[""] * (len(bridge["x"]) - 1), "/"]
    assert bridge["x"][-1] == "closing"
    assert bridge["y"][-1] == pytest.approx(sum(bridge["y"][:-1]))
    assert bridge["base"][-1] == bridge["base"][0] == 0
    assert bridge["marker"]["color"][-1] == bridge["marker"]["color"][0] != bridge["marker"]["color"][1]
    assert bridge["base"][-2] == pytest.approx(sum(bridge["y"][:-2]))
    _, bridge = look(page="Revenue", dates=["2023-12-01", "2024-01-31"]).figures["mrr_bridge"]["data"]
    assert "pattern" not in bridge["marker"]

    assert hatches(look(page="Acquisition"), "channel_revenue") == {"/"}
    screen = look(page="Overview")
    assert {"28 days, incomplete", "7 days, incomplete"} <= {*screen.series("overview_active_users")}

    # December 2023 begins before the data
    for dates, hatch, star in [(["2023-12-05", "2023-12-20"], "/", "*"), (["2024-01-01", "2024-02-20"], "", "")]:
        screen = look(page="Engagement", section="People", dates=dates)
        assert hatches(screen, "segments") == hatches(screen, "segment_events") == {hatch}
        [countries] = screen.figures["countries"]["data"]
        assert {name[-1] == "*" for name in countries["text"]} == {bool(star)}
        assert countries["colorbar"]["title"]["text"] == f"users{star}"
        screen = look(page="Engagement", section="Products", dates=dates)
        [overlap] = screen.figures["overlap"]["data"]
        assert {text[-1] == "*" for row in overlap["text"] for text in row if text} == {bool(star)}

    screen = look(page="Engagement", section="Depth", dates=["2023-12-05", "2024-01-10"])
    assert {hatches(screen, key) == {"/"} for key in ("power_users", "concentration", "scores")} == {True}
    screen = look(page="Engagement", section="Depth", dates=["2023-12-05", "2024-02-10"])
    assert hatches(screen, "power_users") == {""}


def test_recurring_revenue_can_be_chosen_where_all_payments_have_another_currency(look: Any, sample: Pipeline) -> None:
    with psycopg.connect(sample.warehouse.conninfo("transform")) as conn:
        conn.execute("update mart.monthly_revenue set currency_code = 'EUR'")
    assert {"revenue", "mrr_bridge"} & {*look(page="Revenue").figures} == {"revenue"}
    screen = look(page="Revenue", currency="USD")
    assert {"revenue", "mrr_bridge"} & {*screen.figures} == {"mrr_bridge"}
    with psycopg.connect(sample.warehouse.conninfo("transform")) as conn:
        conn.execute("update mart.mrr_movements set opening_subscriber_count = 0, closing_subscriber_count = 0")
        conn.execute("update mart.publications set published_at = now()")  # what was asked before is asked anew
    assert not look(page="Revenue", currency="USD").app.get("segmented_control")[1:]


def test_an_empty_selection_says_so_after_another_domain_was_published_alone(look: Any, sample: Pipeline) -> None:
    publish(sample.warehouse, "test", ["acquisition_daily"])
    screen = look(page="Engagement", product="threads", category="flight")
    assert screen.texts("info") == ["Nothing in this selection."] * 2


def test_in_a_browser_every_page_is_whole_at_every_width_and_asks_nobody_else(lived: Pipeline, tmp_path: Path) -> None:
    pictures = Path(os.environ["GROWTH_SCREENSHOTS"]) if "GROWTH_SCREENSHOTS" in os.environ else None
    with served("dashboard", lived.warehouse, tmp_path / "dashboard.log") as address, chromium() as browser:
        reader = Reader(browser, address)
        for parameters in ADDRESSES:
            reader.open(parameters)
            name = "-".join(parameters.values()).lower().replace(" ", "-")
            for size in (DESK, PHONE):
                assert reader.fits(size, pictures and pictures / f"{name}-{size['width']}.png"), (name, size)
            assert reader.problems == [], name

        # what is chosen stands in the address, and the address shows the same to someone else; so a section does not
        # take over what another one has by default: its address would not have it
        reader.open({"page": "Engagement"})
        reader.page.get_by_role("radiogroup", name="Section").get_by_role("radio", name="Growth").click()
        reader.page.wait_for_url("**section=Growth**")
        reader.page.get_by_text("Quick ratio per week").wait_for()
        reader.open({"page": "Engagement"})
        reader.page.get_by_label("Product").click()
        reader.page.get_by_role("option", name="miles").click()
        reader.page.wait_for_url("**product=miles**")
        reader.drawn()
        reader.page.get_by_role("radiogroup", name="Period").get_by_role("radio", name="Week").click()
        reader.page.wait_for_url("**period=Week**")
        reader.drawn()
        shared = Reader(browser, address, scheme="dark")
        shared.page.goto(reader.page.url)
        shared.drawn()
        with shared.page.expect_download() as download:
            shared.page.locator(".st-key-csv_active_users button").first.click()
        rows = lived.query(
            "select period_start, active_user_count, event_count, is_complete from mart.active_users"
            " where period_type = 'week' and product = 'miles' and country = 'all' and platform = 'all'"
            " and category = 'all' order by 1"
        )
        columns = ["period_start", "active_user_count", "event_count", "is_complete"]
        assert Path(download.value.path()).read_text() == table.render(columns, rows, "csv")
        assert download.value.suggested_filename == "active_users.csv"
        assert shared.fits(DESK, pictures and pictures / "dark-1280.png")
        assert reader.problems + shared.problems == []
