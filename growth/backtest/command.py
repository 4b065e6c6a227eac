"""``growth backtest``: how well a score foresees, on days in the past."""

from __future__ import annotations

from datetime import datetime

import click

from growth.console import connect, say


@click.group()
def backtest() -> None:
    """Compare a score of a day in the past with what then happened."""


@backtest.command()
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Day of the scores; 28 days before the newest one.")
@click.option("--product", default="all", show_default=True, help="App, or all.")
def churn(as_of: datetime | None, product: str) -> None:
    """AUC, lift and calibration of mart.churn_risk; a picture in reports/."""
    from growth.backtest import churn as churn_backtest
    from growth.settings import reports_folder

    found = churn_backtest.backtest(connect(), as_of.date() if as_of else None, product)
    click.echo(churn_backtest.describe(found))
    if churn_backtest.has_plots():
        say(f"Open {churn_backtest.plot(found, reports_folder() / 'backtest_churn.png')}")
    if not (churn_backtest.has_plots() and churn_backtest.has_reference()):
        say(churn_backtest.ABSENT)
