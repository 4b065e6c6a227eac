"""The marts find again what is built into the sample (docs/data-card.md), to the last user."""

from __future__ import annotations

from calendar import monthrange
from collections import defaultdict
from datetime import date
from pathlib import Path

import nbformat
import psycopg
import pytest
from golden import engagement_log, subscription_oracle
from golden.oracle import Attribution, calculate
from nbclient import NotebookClient
from support.engagement import Sample, found_in
from support.pipeline import Pipeline

from growth import dbt
from growth.backtest import measures
from growth.backtest.churn import SCORE, BacktestImpossible, backtest
from growth.notebook import FOLDER
from growth.settings import PROJECT_ROOT
from sample_data import ENGAGEMENT_TRUTHS, write_sample

TOTAL = "product = 'all' and country = 'all'"
WEEKLY = f"from mart.growth_accounting where period_type = 'week' and {TOTAL}"
RETENTION = f"""
select sum(retained_user_count)::float / sum(cohort_size) from mart.retention_cohorts
where period_type = 'week' and {TOTAL} and period_offset = {{}} and is_complete
    and cohort_start > (select min(period_start) {WEEKLY})
"""
FUNNEL = """
select sum(user_count) filter (where step_number = {})::float / sum(user_count) filter (where step_number = 1)
from mart.engagement_funnel where product <> 'miles'
"""
QUERIES = {
    "userless": """
        select 1 - (select sum(event_count) from mart.user_lifetimes where product = 'all')::float / sum(event_count)
        from mart.usage_daily where product = 'all'
    """,
    "saturday_to_tuesday": f"""
        select sum(event_count) filter (where extract(isodow from activity_date) = 6)::float
            / sum(event_count) filter (where extract(isodow from activity_date) = 2)
        from dwh.fct_user_activity_daily -- nobody's events apart
        where activity_date < (select max(period_start) {WEEKLY} and not is_complete)
    """,
    "growth": f"""
        select max(active_user_count) filter (where place = -1)::float / max(active_user_count) filter (where place = 1)
        from (
            select active_user_count, case row_number() over (order by period_start)
                when 1 then 1 when count(*) over () then -1 end as place
            {WEEKLY} and is_complete
        ) as weeks
    """,
    **{f"retention_week_{offset}": RETENTION.format(offset) for offset in (1, 2, 4, 6)},
    "top_10_percent": """
        select event_rate from mart.engagement_concentration where product = 'all' and top_percent = 10
    """,
    "like_after_view": FUNNEL.format(2),
    "create_after_view": FUNNEL.format(5),
    "redeemed_after_search": """
        select overall_conversion_rate from mart.engagement_funnel where product = 'miles' and step_number = 3
    """,
    "resurrected": f"select sum(resurrected_user_count)::float / sum(active_user_count) {WEEKLY}",
    "cross_product": """
        select count(*) filter (where products > 1)::float / count(*)
        from (
            select count(*) as products from mart.user_lifetimes where product <> 'all' group by identity, user_id
        ) as users
    """,
    "both_feeds": """
        select count(*) filter (where miles and apps)::float / count(*)
        from (
            select bool_or(product = 'miles') as miles, bool_or(product <> 'miles') as apps
            from mart.user_lifetimes where product <> 'all' group by identity, user_id
        ) as users
    """,
    "changed_users": """
        select count(*) filter (where states > 1)::float / count(*)
        from (
            select count(distinct (country, age_group, user_segment)) as states from dwh.dim_app_users
            group by user_id
        ) as users
    """,
    "deleted_users": """
        select count(*) filter (where not has_account)::float / count(*)
        from (select bool_or(is_current) as has_account from dwh.dim_app_users group by user_id) as users
    """,
}


def quality_in(folder: Path) -> dict[tuple[date, str], tuple[int, ...]]:
    """What each channel brings by month, counted in the files: users, those active, kept and paying, and cents."""
    events = defaultdict(set)
    for event in engagement_log.read_landing(folder).events:
        events[event.user_id].add(event.day)
    payments = subscription_oracle.Company(folder).payments
    first: dict[str, Attribution] = {}
    for row in sorted(calculate(folder).registrations, key=lambda row: row.registration.registered_at):
        first.setdefault(str(row.registration.user_id), row)
    found: dict[tuple[date, str], tuple[int, ...]] = {}
    for user, row in first.items():
        day = row.registration.registered_at.date()
        channel = "UNATTRIBUTED" if row.session is None else row.session.channel or "(none)"
        ages = {(active - day).days for active in events[user]}
        paid = sum(each.amount for each in payments if each.user_id == user and 0 <= (each.day - day).days < 90)
        counts = (1, bool(ages & {*range(7)}), any(age >= 30 for age in ages), paid > 0, int(paid * 100))
        before = found.get((day.replace(day=1), channel), (0,) * len(counts))
        found[day.replace(day=1), channel] = tuple(map(sum, zip(before, counts, strict=True)))
    return found


def test_the_marts_find_what_is_built_into_the_sample(pipeline: Pipeline) -> None:
    sample = Sample(pipeline.landing, write_sample(pipeline.landing, users=2000, days=60, seed=1))
    pipeline.run()
    counted = found_in(sample)
    for truth, query in QUERIES.items():
        [(found,)] = pipeline.query(query)
        assert float(found) == pytest.approx(counted[truth], abs=1e-9), truth
        assert ENGAGEMENT_TRUTHS[truth].low <= found <= ENGAGEMENT_TRUTHS[truth].high, truth
    quality = pipeline.query(
        "select registration_month, channel, registered_user_count, activated_user_count, retained_user_count_30d,"
        " paying_user_count, (revenue_amount_90d * 100)::bigint from mart.channel_quality"
        " where registered_user_count > 0"
    )
    assert {(month, channel): tuple(rest) for month, channel, *rest in quality} == quality_in(pipeline.landing)
    pipeline.gates()
    assert_questions_have_answers(pipeline)
    assert_stickiness_is_that_of_calendar_months(pipeline, sample)
    assert_churn_risk_foresees(pipeline)
    assert_notebooks_run(pipeline)


def assert_questions_have_answers(pipeline: Pipeline) -> None:
    """Each of the queries for analysts runs as it stands, as the role analyst, and says something."""
    questions = sorted((PROJECT_ROOT / "dbt_project" / "analyses").glob("*.sql"))
    assert len(questions) == 13
    for path in questions:
        assert path.read_text().startswith("-- "), path.name
        assert len(pipeline.query(path.read_text(), role="analyst")) > 1, path.name


def assert_stickiness_is_that_of_calendar_months(pipeline: Pipeline, sample: Sample) -> None:
    """Users of each day / users of the month, a mean over all days; December is not whole."""
    active: dict[tuple[date, str], dict[date, set[str]]] = defaultdict(lambda: defaultdict(set))
    for event in sample.events:
        day = event.time.date()
        for product in ("all", event.product):
            active[day.replace(day=1), product][day].add(event.user)
    expected = {
        key: sum(map(len, days.values())) / len(set().union(*days.values())) / monthrange(key[0].year, key[0].month)[1]
        for key, days in active.items()
        if key[0] >= date(2024, 1, 1)
    }
    query = (PROJECT_ROOT / "dbt_project" / "analyses" / "stickiness.sql").read_text()
    found = {(month, product): rate for month, product, _, rate in pipeline.query(query, role="analyst") if rate}
    assert found.keys() == expected.keys()
    assert {key: float(rate) for key, rate in found.items()} == pytest.approx(expected, abs=0.0006)


def assert_churn_risk_foresees(pipeline: Pipeline) -> None:
    """The score beats recency alone, as the docs say; and as of the newest day it is the mart's."""
    found = backtest(pipeline.warehouse, None, "all")
    auc = {name: measures.auc(risk, found.churned) for name, risk in found.risks.items()}
    assert auc[SCORE] > auc["recency alone"] + 0.01
    tenths = [tenth.churn_rate for tenth in measures.calibration(found.risks[SCORE], found.churned)]
    assert max(tenths[:4]) < 0.2 < 0.7 < min(tenths[8:])
    with pytest.raises(BacktestImpossible, match="only those up to 2024-02-29"):
        backtest(pipeline.warehouse, date(2024, 2, 2), "all")

    columns = "user_id, product, recency_days, frequency_28d, event_count_7d, event_count_28d, event_count_ratio,"
    columns += "tenure_days, active_day_count, product_count, missed_day_count, churn_risk_score, churn_risk_band"
    scores = f"""
        select {columns} from ({dbt.compiled(pipeline.warehouse, "churn_backtest")}) as risks
        inner join dwh.int_engagement__user_keys using (user_key) order by user_id, product
    """
    set_day = "select set_config('growth.as_of', %s, false)"
    with psycopg.connect(pipeline.warehouse.conninfo("analyst")) as conn:
        conn.execute(set_day, ["2024-02-29"])
        again = conn.execute(scores.encode()).fetchall()
    assert again == pipeline.query(f"select {columns} from mart.churn_risk order by user_id, product")

    # as of a day in the past nothing is known of the days after it
    with psycopg.connect(pipeline.warehouse.conninfo()) as conn:
        conn.execute(set_day, [str(found.as_of)])
        with_later_days = conn.execute(scores.encode()).fetchall()
        forgotten = conn.execute("delete from dwh.fct_user_activity_daily where activity_date > %s", [found.as_of])
        assert forgotten.rowcount > 0
        assert conn.execute(scores.encode()).fetchall() == with_later_days != []
        conn.rollback()


def assert_notebooks_run(pipeline: Pipeline) -> None:
    """From top to bottom, as the role analyst, each cell that asks for something with an answer."""
    [path] = FOLDER.glob("*.ipynb")
    notebook = nbformat.read(path, as_version=4)
    assert not [cell for cell in notebook.cells if cell.get("outputs")], "committed without outputs"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MPLBACKEND", raising=False)  # the notebook draws into its own page
        for name, value in pipeline.warehouse.login("analyst").items():
            patch.setenv(name, value)
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [cell.outputs for cell in notebook.cells if "query(" in cell.source and "def " not in cell.source]
    assert len(outputs) >= 5
    assert all("text/html" in output[-1].data or "text/html" in output[0].data for output in outputs)
    drawn = [output for cell in outputs for output in cell if "image/png" in output.get("data", {})]
    assert len(drawn) >= 4
