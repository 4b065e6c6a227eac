"""A map of the countries. Outlines are served by the dashboard itself (static/world_110m.json, Natural Earth).

The codes in countries.csv are ISO 3166-1; a country may stand in a feed by either code or by its name.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import pandas as pd

from dashboard import charts

CODES = Path(__file__).parent / "countries.csv"


@cache
def _countries() -> dict[str, tuple[str, str]]:
    """Any spelling, in upper case → (three letters, name)."""
    with CODES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        spelling.upper(): (row["alpha_3"], row["name"])
        for row in rows
        for spelling in (row["alpha_2"], row["alpha_3"], row["name"])
    }


def map_of(frame: pd.DataFrame, country: str, value: str, unit: str, *, complete: str) -> charts.Figure:
    """Countries in the colour of their value; rows whose country is not known are left out."""
    known = frame[frame[country].str.upper().isin(_countries())]
    places = [_countries()[each.upper()] for each in known[country]]
    made = charts.figure(legend=False, height=420)
    made["data"].append(
        {
            "type": "choropleth",
            "locations": [code for code, _ in places],
            "z": charts.plain(known[value]),
            "text": charts.starred((name for _, name in places), known[complete]),
            "colorscale": charts.SCALE,
            "marker": {"line": {"width": 0.5, "color": charts.PALETTE[6]}},
            "colorbar": {
                "title": {"text": unit if known[complete].all() else f"{unit}*"},
                "thickness": 10,
                "orientation": "h",
                "y": -0.05,
            },
            "hovertemplate": "%{text}: %{z:,} " + unit + "<extra></extra>",
        }
    )
    made["layout"] |= {
        "hovermode": "closest",
        "geo": {
            "projection": {"type": "natural earth"},
            "bgcolor": charts.NO_COLOR,
            "showframe": False,
            "showcoastlines": True,
            "coastlinecolor": charts.PALETTE[6],
            "showland": False,
            "showcountries": False,
            "lataxis": {"range": [-58, 85]},
        },
    }
    return made
