"""Figures: every kind of chart once. Colours come from the theme, so that they follow light and dark.

What is not loaded whole is drawn as such: dotted lines, hatched bars, an asterisk in a cell.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import date

import pandas as pd
import plotly.graph_objects as go

PALETTE = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#BBBBBB")
# Dark is little: it can be read by readers with any colour blindness, on white and on black.
SCALE = "Cividis"
PERCENT = "%"
HEIGHT = 340
CELL_HEIGHT = 26
# More incomplete points than this are a stretch of a line, which is dotted; fewer are marked, too.
FEW = 3
LEGEND_LINE = 14
MOST_TICKS = 8


def figure(unit: str = "", *, height: int = HEIGHT, legend: bool = True) -> go.Figure:
    """An empty figure whose vertical axis has a unit."""
    made = go.Figure()
    made.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        showlegend=legend,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        hovermode="x unified",
        barmode="relative",
        colorway=PALETTE,
        yaxis={"title": "" if unit == PERCENT else unit, "rangemode": "tozero", "automargin": True},
        xaxis={"automargin": True},
    )
    if unit == PERCENT:
        made.update_yaxes(tickformat=".0%")
    return made


def lines(
    frame: pd.DataFrame,
    x: str,
    series: Mapping[str, str],
    unit: str,
    *,
    complete: str | None = None,
    thin: Sequence[str] = (),
) -> go.Figure:
    """A line for each column; dotted where ``complete`` is false, half as strong for the ``thin`` ones."""
    made = figure(unit, height=_height(len(series)), legend=len(series) > 1)
    whole = frame[complete].astype(bool) if complete else pd.Series(True, index=frame.index)
    for index, (column, label) in enumerate(series.items()):
        color = PALETTE[index % len(PALETTE)]
        dash = ("solid", "dash", "dashdot")[index // len(PALETTE) % 3]
        style = {"color": color, "width": 1 if column in thin else 2, "dash": dash}
        opacity = 0.6 if column in thin else 1
        hover = _hover(unit)
        made.add_scatter(
            x=frame[x], y=frame[column].where(whole), name=label, line=style, opacity=opacity, hovertemplate=hover
        )
        if not whole.all():
            # a dotted piece begins and ends at a whole neighbour, so that the line has no gap
            touched = ~whole | ~whole.shift(1, fill_value=True) | ~whole.shift(-1, fill_value=True)
            made.add_scatter(
                x=frame[x],
                y=frame[column].where(touched),
                name=f"{label}, incomplete",
                mode="lines",
                line=style | {"dash": "dot"},
                showlegend=False,
                hoverinfo="skip",
            )
            made.add_scatter(
                x=frame[x][~whole],
                y=frame[column][~whole],
                name=f"{label} (incomplete)",
                mode="markers",
                marker={"color": color, "symbol": "circle-open", "opacity": 1 if (~whole).sum() <= FEW else 0},
                showlegend=False,
                hovertemplate=hover,
            )
    return _dated(made, frame[x])


def lines_by(frame: pd.DataFrame, x: str, y: str, by: str, unit: str, *, complete: str | None = None) -> go.Figure:
    """A line for each value of a column."""
    wide = frame.pivot(index=x, columns=by, values=y)
    flags = frame.groupby(x)[complete].all() if complete else None
    table = wide.reset_index()
    if flags is not None:
        table["_complete"] = table[x].map(flags)
    series = {value: str(value) for value in wide.columns}
    made = lines(table, x, series, unit, complete="_complete" if flags is not None else None)
    made.update_layout(showlegend=True)
    return made


def bars(
    frame: pd.DataFrame,
    x: str,
    series: Mapping[str, str],
    unit: str,
    *,
    complete: str | None = None,
    grouped: bool = False,
    colors: Mapping[str, str] | None = None,
) -> go.Figure:
    """Bars for each column, stacked (negative ones downwards) or side by side; hatched where not complete."""
    made = figure(unit, height=_height(len(series)), legend=len(series) > 1)
    patterns = ["" if flag else "/" for flag in frame[complete]] if complete else None
    for index, (column, label) in enumerate(series.items()):
        color = colors[label] if colors else PALETTE[index % len(PALETTE)]
        made.add_bar(
            x=frame[x],
            y=frame[column],
            name=label,
            marker={"color": color, "pattern": {"shape": patterns, "fillmode": "replace"} if patterns else {}},
            hovertemplate=_hover(unit),
        )
    if grouped:
        made.update_layout(barmode="group")
    return _dated(made, frame[x])


def bars_by(
    frame: pd.DataFrame,
    x: str,
    y: str,
    by: str,
    unit: str,
    *,
    complete: str | None = None,
    grouped: bool = False,
    colors: Mapping[str, str] | None = None,
) -> go.Figure:
    """Bars for each value of a column; of stacked ones the smallest are one, where there are more than colours."""
    if not grouped and frame[by].nunique() > len(PALETTE):
        sums = frame.groupby(by)[y].sum().sort_values(ascending=False)
        small = sums.index[len(PALETTE) - 1 :]
        frame = frame.assign(**{by: frame[by].where(~frame[by].isin(small), f"{len(small)} others")})
    order = list(dict.fromkeys(frame[x]))
    wide = frame.pivot_table(index=x, columns=by, values=y, aggfunc="sum", observed=True)
    table = wide.reindex(order).reset_index()
    if complete:
        table["_complete"] = table[x].map(frame.groupby(x)[complete].all())
    series = {value: str(value) for value in wide.columns}
    made = bars(table, x, series, unit, complete="_complete" if complete else None, grouped=grouped, colors=colors)
    made.update_layout(showlegend=True)
    return made


def growth(frame: pd.DataFrame) -> go.Figure:
    """Growth accounting: those who are active upwards, those who went downwards."""
    return bars(
        frame.assign(churned_user_count=-frame["churned_user_count"]),
        "period_start",
        {
            "retained_user_count": "retained",
            "new_user_count": "new",
            "resurrected_user_count": "resurrected",
            "churned_user_count": "churned",
        },
        "users",
        complete="is_complete",
    )


def ranked(frame: pd.DataFrame, label: str, value: str, unit: str, text: Sequence[str] | None = None) -> go.Figure:
    """Horizontal bars in the order of the rows, the first on top, each with its value beside it."""
    made = figure(height=max(160, 44 + 34 * len(frame)), legend=False)
    shown = text or [_number(each, unit) for each in frame[value]]
    made.add_bar(
        x=frame[value],
        y=frame[label].astype(str),
        orientation="h",
        text=list(shown),
        textposition="auto",
        marker={"color": PALETTE[0]},
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    made.update_layout(hovermode="closest", yaxis={"autorange": "reversed", "type": "category"})
    made.update_xaxes(title="" if unit == PERCENT else unit, rangemode="tozero")
    if unit == PERCENT:
        made.update_xaxes(tickformat=".0%")
    return made


def heatmap(
    frame: pd.DataFrame,
    x: str,
    y: str,
    z: str,
    text: Sequence[str],
    unit: str,
    *,
    x_title: str,
    hover: Sequence[str] | None = None,
) -> go.Figure:
    """A cell for each pair of x and y, with its text; rows from top to bottom in order."""
    cells = frame.assign(_text=list(text), _hover=list(hover or text))
    values = cells.pivot(index=y, columns=x, values=z)
    texts = cells.pivot(index=y, columns=x, values="_text").fillna("")
    hovers = cells.pivot(index=y, columns=x, values="_hover").fillna("")
    made = figure(height=90 + CELL_HEIGHT * len(values), legend=False)
    made.add_heatmap(
        x=[str(each) for each in values.columns],
        y=[str(each) for each in values.index],
        z=values.to_numpy(),
        text=texts.to_numpy(),
        customdata=hovers.to_numpy(),
        texttemplate="%{text}" if len(values.columns) <= 14 else None,
        hovertemplate="%{y}, %{x}: %{customdata}<extra></extra>",
        hoverongaps=False,
        colorscale=SCALE,
        xgap=1,
        ygap=1,
        colorbar={"tickformat": ".0%", "thickness": 10} if unit == PERCENT else {"title": unit, "thickness": 10},
    )
    made.update_layout(hovermode="closest")
    made.update_yaxes(autorange="reversed", type="category", title="")
    made.update_xaxes(type="category", title=x_title)
    return made


def waterfall(steps: Mapping[str, float], totals: Sequence[str], unit: str) -> go.Figure:
    """Steps from an opening to a closing value; the ``totals`` stand on the ground."""
    made = figure(unit, legend=False)
    made.add_waterfall(
        x=list(steps),
        y=list(steps.values()),
        measure=["total" if label in totals and index else "relative" for index, label in enumerate(steps)],
        text=[f"{value:,.0f}" for value in steps.values()],
        textposition="outside",
        increasing={"marker": {"color": PALETTE[2]}},
        decreasing={"marker": {"color": PALETTE[1]}},
        totals={"marker": {"color": PALETTE[0]}},
        connector={"line": {"width": 1, "color": PALETTE[6]}},
        hovertemplate="%{x}: %{text}<extra></extra>",
    )
    made.update_layout(hovermode="closest")
    return made


def _height(series: int) -> int:
    """On a phone each entry of the legend takes a line."""
    return HEIGHT + LEGEND_LINE * max(0, series - 3)


def _dated(made: go.Figure, days: pd.Series) -> go.Figure:
    """Ticks at the periods themselves: of weeks at Mondays, of months at their names."""
    dates = [day for day in days if isinstance(day, date)]
    if len(dates) < len(days) or not dates:
        return made
    steps = {(after - before).days for before, after in itertools.pairwise(sorted(set(dates)))}
    if all(day.day == 1 for day in dates) and (not steps or min(steps) >= 28):
        many = -(-len(set(dates)) // MOST_TICKS)
        return made.update_xaxes(type="date", dtick=f"M{many}", tick0=min(dates), tickformat="%b\n%Y")
    if steps and min(steps) % 7 == 0:
        many = -(-((max(dates) - min(dates)).days // 7 + 1) // MOST_TICKS)
        return made.update_xaxes(type="date", dtick=many * 7 * 86_400_000, tick0=min(dates), tickformat="%b %-d\n%Y")
    return made


def _hover(unit: str) -> str:
    if unit == PERCENT:
        return "%{y:.1%}"
    return "%{y:,.2~f}" + (f" {unit}" if unit else "")


def _number(value: float, unit: str) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.1%}" if unit == PERCENT else f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.4g}"
