"""Back-test of churn risk: scores as of a day, with what was known then; who was not active in the 28 days after left.

Source: dwh, through the analysis churn_backtest, which has the SQL of mart.churn_risk. Target: lines of text, and a
picture where matplotlib is installed.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from growth import dbt, table
from growth.backtest import measures
from growth.backtest.measures import Bools, Floats
from growth.settings import Warehouse
from ingest.errors import ExpectedError

OUTCOME_DAYS = 28
SCORE, REFERENCE = "churn_risk_score", "BG/NBD, 1 - P(alive)"
ABSENT = "BG/NBD and the picture are left out: they need the extra packages of `make .venv/installed-analysis`."


class BacktestImpossible(ExpectedError):
    """The loaded days do not reach far enough, or nobody left."""


@dataclass(frozen=True, slots=True)
class Population:
    """Users as of a day who were active in the 28 days before it; ``risks`` rank them, the highest leave first.

    ``has_returned``: active on two days or more. To BG/NBD, nobody can leave who came on one day only.
    """

    as_of: date
    product: str
    churned: Bools
    has_returned: Bools
    risks: dict[str, Floats]


def backtest(warehouse: Warehouse, as_of: date | None, product: str) -> Population:
    """Everyone's scores as of a day (28 days before the newest one, unless told), and who left.

    Raises:
        BacktestImpossible: not all of the 28 days after it are loaded, nobody was active before it, or dbt could not
            compile the query.
    """
    newest = _newest_day(warehouse)
    day = as_of or newest - timedelta(days=OUTCOME_DAYS)
    if day + timedelta(days=OUTCOME_DAYS) > newest:
        raise BacktestImpossible(f"Of the {OUTCOME_DAYS} days after {day} only those up to {newest} are loaded.")
    try:
        query = dbt.compiled(warehouse, "churn_backtest")
    except ValueError as error:
        raise BacktestImpossible(str(error)) from error
    with psycopg.connect(warehouse.conninfo("analyst")) as conn:
        conn.execute("select set_config('growth.as_of', %s, true)", [str(day)])
        cursor = conn.execute(query.encode())
        names = [column.name for column in cursor.description or []]
        rows = [user for row in cursor if (user := dict(zip(names, row, strict=True)))["product"] == product]
    return population(day, product, rows)


def _newest_day(warehouse: Warehouse) -> date:
    with psycopg.connect(warehouse.conninfo("analyst")) as conn:
        is_there = conn.execute("select to_regclass('mart.rolling_active_users')").fetchone() != (None,)
        row = conn.execute("select max(as_of_date) from mart.rolling_active_users").fetchone() if is_there else None
    if row is None or row[0] is None:
        raise BacktestImpossible("No day of engagement is published yet.")
    assert isinstance(row[0], date)
    return row[0]


def population(day: date, product: str, rows: list[dict[str, Any]]) -> Population:
    """The users of these rows who were active in the 28 days before the day, ranked in each way there is.

    Raises:
        BacktestImpossible: they all left, or none did.
    """
    is_recent = np.array([row["frequency_28d"] > 0 for row in rows], dtype=np.bool_)
    churned = np.array([row["is_churned"] for row in rows], dtype=np.bool_)
    columns = {name: _column(rows, name) for name in ("churn_risk_score", "recency_days", "frequency_28d")}
    risks = {
        SCORE: columns["churn_risk_score"],
        "recency alone": columns["recency_days"],
        "frequency alone": -columns["frequency_28d"],
    }
    if has_reference():
        risks[REFERENCE] = 1 - probability_alive(rows)
    has_returned = _column(rows, "active_day_count")[is_recent] > 1
    churned = churned[is_recent]
    if not all(0 < some.sum() < len(some) for some in (churned, churned[has_returned])):
        raise BacktestImpossible(f"Of {len(churned)} users of {product} active before {day}, {churned.sum()} left.")
    return Population(day, product, churned, has_returned, {name: risk[is_recent] for name, risk in risks.items()})


def has_reference() -> bool:
    """Whether the library of BG/NBD is installed."""
    return importlib.util.find_spec("pymc_marketing") is not None


def probability_alive(rows: list[dict[str, Any]]) -> Floats:
    """P(alive) of everyone by BG/NBD, fitted on all of them: each active day counts as a purchase."""
    # Without a compiler it is as fast for one fit, and needs none. Set before the library is imported.
    os.environ.setdefault("PYTENSOR_FLAGS", "cxx=")
    import pandas
    from pymc_marketing.clv import BetaGeoModel

    tenure, recency = _column(rows, "tenure_days"), _column(rows, "recency_days")
    data = pandas.DataFrame(
        {
            "customer_id": range(len(rows)),
            "frequency": _column(rows, "active_day_count") - 1,
            "recency": tenure - recency,
            "T": tenure,
        }
    )
    model = BetaGeoModel(data=data)
    model.fit(method="map", progressbar=False)
    alive = model.expected_probability_alive(data).mean(("chain", "draw"))
    return np.asarray(alive, dtype=np.float64)


def describe(found: Population) -> str:
    """The result as text: each ranking, then the calibration of the score."""
    day = f"{found.as_of} + {OUTCOME_DAYS} days"
    lines = [
        f"{len(found.churned):,} users of {found.product} active in the {OUTCOME_DAYS} days up to {found.as_of}; "
        f"{found.churned.mean():.1%} of them were not active in the {OUTCOME_DAYS} days after it.",
        "",
    ]
    again = found.has_returned
    rankings = [
        (
            name,
            f"{measures.auc(risk, found.churned):.3f}",
            f"{measures.top_decile_lift(risk, found.churned):.2f}",
            f"{measures.auc(risk[again], found.churned[again]):.3f}",
        )
        for name, risk in found.risks.items()
    ]
    header = ["ranked by", "AUC", "lift in the top decile", "AUC of those active on two days or more"]
    lines += table.render(header, rankings).splitlines()
    lines += ["", f"Calibration of {SCORE}, {day}:"]
    tenths = [
        (place, tenth.user_count, f"{tenth.mean_score:.3f}", f"{tenth.churn_rate:.3f}")
        for place, tenth in enumerate(measures.calibration(found.risks[SCORE], found.churned), start=1)
    ]
    lines += table.render(["tenth of users", "users", "mean score", "left"], tenths).splitlines()
    return "\n".join(lines)


def has_plots() -> bool:
    """Whether the library of pictures is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def plot(found: Population, path: Path) -> Path:
    """Draw the ranking curves and the calibration into a PNG file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    ranking, calibrated = figure.subplots(1, 2)
    for name, risk in found.risks.items():
        ranking.plot(*measures.roc(risk, found.churned), label=f"{name}: {measures.auc(risk, found.churned):.3f}")
    ranking.plot([0, 1], [0, 1], color="grey", linestyle=":")
    ranking.set(title="Ranking (AUC)", xlabel="found of those who stayed", ylabel="found of those who left")
    ranking.legend(loc="lower right")
    tenths = measures.calibration(found.risks[SCORE], found.churned)
    calibrated.plot([tenth.mean_score for tenth in tenths], [tenth.churn_rate for tenth in tenths], marker="o")
    calibrated.plot([0, 1], [0, 1], color="grey", linestyle=":")
    calibrated.set(title=f"Calibration of {SCORE}", xlabel="mean score of a tenth", ylabel="share that left")
    figure.suptitle(f"Churn of {found.product}, {found.as_of} + {OUTCOME_DAYS} days, {len(found.churned):,} users")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _column(rows: list[dict[str, Any]], name: str) -> Floats:
    return np.array([row[name] for row in rows], dtype=np.float64)
