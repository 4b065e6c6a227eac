"""Figures: every kind of chart once, as the plain dictionaries that Plotly draws.

What is not loaded whole is drawn as such: dotted lines, hatched bars, an asterisk in a cell. Texts and grid have the
colour of the page's text (dashboard/app.py), so that they follow light and dark.

The browser draws a figure as soon as it is there, and is then given the same one again. It draws it a second time
unless nothing differs: so there is no template, values are lists (arrays of numbers would be packed, and packed ones
count as new each time), and ``datarevision`` says that they are the same. A margin that is measured costs a drawing
more: only axes of names have one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import pandas as pd

Figure = dict[str, Any]

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
# More cells in a row than these are too narrow for a text.
MOST_TEXTS = 14
# Width of a letter: of short names the margin is reckoned.
LETTER = 6
MARGIN = {"l": 48, "r": 8, "t": 8, "b": 44, "pad": 4}
UNIT_WIDTH = 20
FONT = {"family": '"Source Sans", sans-serif', "size": 12}
NO_COLOR = "rgba(0,0,0,0)"
# of a figure, never of the page: read on both its colours
HOVER = {"bgcolor": "#31333F", "bordercolor": "#808495", "font": FONT | {"color": "#FAFAFA"}}


def figure(unit: str = "", *, height: int = HEIGHT, legend: bool) -> Figure:
    """A figure without traces, whose vertical axis has a unit."""
    title = "" if unit == PERCENT else unit
    return {
        "data": [],
        "layout": {
            "height": height,
            "margin": MARGIN | {"l": MARGIN["l"] + (UNIT_WIDTH if title else 0)},
            "font": FONT,
            "paper_bgcolor": NO_COLOR,
            "plot_bgcolor": NO_COLOR,
            "showlegend": legend,
            "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
            "hovermode": "x unified",
            "hoverlabel": HOVER,
            "barmode": "relative",
            "yaxis": {
                "title": {"text": title, "standoff": 8},
                "rangemode": "tozero",
                "tickformat": ".0%" if unit == PERCENT else "",
                "ticks": "",
            },
            "xaxis": {"showgrid": False, "zeroline": False, "ticks": ""},
            "datarevision": 1,
        },
    }


def named(made: Figure, axis: str, **more: Any) -> Figure:
    """The figure with names along an axis, which take the room that they need."""
    made["layout"][axis] |= {"type": "category", "automargin": True, **more}
    return made


def lines(
    frame: pd.DataFrame,
    x: str,
    series: Mapping[str, str],
    unit: str,
    *,
    complete: str | None = None,
    thin: Sequence[str] = (),
) -> Figure:
    """A line for each column; dotted where ``complete`` is false, half as strong for the ``thin`` ones."""
    made = figure(unit, height=_height(len(series)), legend=len(series) > 1)
    places = plain(frame[x])
    whole = frame[complete].astype(bool) if complete else pd.Series(True, index=frame.index)
    # a dotted piece begins and ends at a whole neighbour, so that the line has no gap; the row behind it parts it from
    # the next one
    touched = ~whole | ~whole.shift(1, fill_value=True) | ~whole.shift(-1, fill_value=True)
    dotted = touched | touched.shift(1, fill_value=False)
    # many points that are not whole are a line that only the pointer finds
    marked: Figure = {"mode": "markers"} if (~whole).sum() <= FEW else {"mode": "lines", "opacity": 0}
    for index, (column, label) in enumerate(series.items()):
        color = PALETTE[index % len(PALETTE)]
        dash = ("solid", "dash", "dashdot")[index // len(PALETTE) % 3]
        style = {"color": color, "width": 1 if column in thin else 2, "dash": dash}
        common = {"type": "scatter", "hovertemplate": _hover(unit)}
        made["data"].append(
            common
            | {"name": label, "x": places, "y": plain(frame[column].where(whole)), "line": style}
            | {"opacity": 0.6 if column in thin else 1}
        )
        if not whole.all():
            made["data"] += [
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": f"{label}, incomplete",
                    "x": list(itertools.compress(places, dotted)),
                    "y": plain(frame[column].where(touched)[dotted]),
                    "line": style | {"dash": "dot"},
                    "showlegend": False,
                    "hoverinfo": "skip",
                },
                common
                | marked
                | {
                    "name": f"{label} (incomplete)",
                    "x": list(itertools.compress(places, ~whole)),
                    "y": plain(frame[column][~whole]),
                    "line": {"color": color},
                    "marker": {"color": color, "symbol": "circle-open"},
                    "showlegend": False,
                },
            ]
    return _placed(made, frame[x])


def lines_by(frame: pd.DataFrame, x: str, y: str, by: str, unit: str, *, complete: str | None = None) -> Figure:
    """A line for each value of a column."""
    wide = frame.pivot(index=x, columns=by, values=y)
    flags = frame.groupby(x)[complete].all() if complete else None
    table = wide.reset_index()
    if flags is not None:
        table["_complete"] = table[x].map(flags)
    series = {value: str(value) for value in wide.columns}
    made = lines(table, x, series, unit, complete="_complete" if flags is not None else None)
    made["layout"]["showlegend"] = True
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
) -> Figure:
    """Bars for each column, stacked (negative ones downwards) or side by side; hatched where not complete."""
    made = figure(unit, height=_height(len(series)), legend=len(series) > 1)
    places = plain(frame[x])
    hatches = hatched(frame[complete]) if complete else {}
    for index, (column, label) in enumerate(series.items()):
        color = colors[label] if colors else PALETTE[index % len(PALETTE)]
        made["data"].append(
            {
                "type": "bar",
                "name": label,
                "x": places,
                "y": plain(frame[column]),
                "marker": {"color": color, **hatches},
                "hovertemplate": _hover(unit),
            }
        )
    if grouped:
        made["layout"]["barmode"] = "group"
    return _placed(made, frame[x])


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
) -> Figure:
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
    made["layout"]["showlegend"] = True
    return made


def growth(frame: pd.DataFrame) -> Figure:
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


def ranked(
    frame: pd.DataFrame,
    label: str,
    value: str,
    unit: str,
    text: Sequence[str] | None = None,
    *,
    complete: str | None = None,
) -> Figure:
    """Horizontal bars in the order of the rows, the first on top, each with its value beside it."""
    made = figure(height=max(160, 44 + 34 * len(frame)), legend=False)
    texts = list(text or [_number(each, unit) for each in frame[value]])
    hatches = hatched(frame[complete]) if complete else {}
    if hatches:  # nobody reads a text over hatches: it stands beside them, the longest bar's too
        made["layout"]["margin"] |= {"r": MARGIN["r"] + LETTER * max(map(len, texts))}
    made["data"].append(
        {
            "type": "bar",
            "x": plain(frame[value]),
            "y": [str(each) for each in frame[label]],
            "orientation": "h",
            "text": texts,
            "textposition": "outside" if hatches else "auto",
            "cliponaxis": not hatches,
            "marker": {"color": PALETTE[0], **hatches},
            "hovertemplate": "%{y}: %{text}<extra></extra>",
        }
    )
    made["layout"]["hovermode"] = "closest"
    made["layout"]["xaxis"] |= {
        "title": {"text": "" if unit == PERCENT else unit},
        "rangemode": "tozero",
        "tickformat": ".0%" if unit == PERCENT else "",
        "showgrid": True,
        "automargin": True,
    }
    return named(made, "yaxis", range=[len(frame) - 0.5, -0.5], showgrid=False)


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
) -> Figure:
    """A cell for each pair of x and y, with its text; rows from top to bottom in order."""
    cells = frame.assign(_text=list(text), _hover=list(hover or text))
    values = cells.pivot(index=y, columns=x, values=z)
    texts = cells.pivot(index=y, columns=x, values="_text").fillna("")
    hovers = cells.pivot(index=y, columns=x, values="_hover").fillna("")
    longest = max(len(str(each)) for each in values.columns)
    # numbers stand below their cells; names, which are wider than these, hang from them
    hanging = LETTER * longest if longest > len("00") else 0
    made = figure(height=90 + hanging + CELL_HEIGHT * len(values), legend=False)
    made["data"].append(
        {
            "type": "heatmap",
            "x": [str(each) for each in values.columns],
            "y": [str(each) for each in values.index],
            "z": [plain(row) for _, row in values.iterrows()],
            "customdata": hovers.to_numpy().tolist(),
            "hovertemplate": "%{y}, %{x}: %{customdata}<extra></extra>",
            "hoverongaps": False,
            "colorscale": SCALE,
            "xgap": 1,
            "ygap": 1,
            "colorbar": {
                "thickness": 10,
                "title": {"text": "" if unit == PERCENT else unit},
                "tickformat": ".0%" if unit == PERCENT else "",
            },
        }
    )
    if len(values.columns) <= MOST_TEXTS:
        made["data"][0] |= {"text": texts.to_numpy().tolist(), "texttemplate": "%{text}"}
    made["layout"]["hovermode"] = "closest"
    made["layout"]["margin"] = MARGIN | {
        "l": 20 + LETTER * max(len(str(each)) for each in values.index),
        "b": MARGIN["b"] + hanging,
    }
    named(made, "yaxis", range=[len(values) - 0.5, -0.5], showgrid=False, automargin=False)
    return named(made, "xaxis", title={"text": x_title}, tickangle=-90 if hanging else 0, automargin=False)


def waterfall(steps: Mapping[str, float], totals: Sequence[str], unit: str, *, is_complete: bool) -> Figure:
    """Steps from an opening to a closing value, hatched where not complete; the ``totals`` stand on the ground.

    Of bars: Plotly's own waterfall has no hatches.
    """
    bases, ends, colors = [], [0.0], []
    for label, value in steps.items():
        bases.append(0.0 if label in totals else ends[-1])
        ends.append(bases[-1] + value)
        colors.append(PALETTE[0] if label in totals else PALETTE[2] if value >= 0 else PALETTE[1])
    made = figure(unit, legend=False)
    made["data"] += [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [place for pair in itertools.pairwise(steps) for place in (*pair, None)],
            "y": [level for end in ends[1:-1] for level in (end, end, None)],
            "line": {"width": 1, "color": PALETTE[6]},
            "hoverinfo": "skip",
        },
        {
            "type": "bar",
            "x": list(steps),
            "y": list(steps.values()),
            "base": bases,
            "text": [f"{value:,.0f}" for value in steps.values()],
            "textposition": "outside",
            "marker": {"color": colors, **hatched(pd.Series([True] * (len(steps) - 1) + [is_complete]))},
            "hovertemplate": "%{x}: %{text}<extra></extra>",
        },
    ]
    made["layout"]["hovermode"] = "closest"
    return named(made, "xaxis")


def hatched(complete: pd.Series) -> Figure:
    """What a marker of bars has beside its colour."""
    shapes = ["" if flag else "/" for flag in complete]
    return {"pattern": {"shape": shapes, "fillmode": "replace"}} if any(shapes) else {}


def starred(texts: Iterable[str], complete: pd.Series) -> list[str]:
    """Texts, with an asterisk where not complete."""
    return [text if flag else f"{text}*" for text, flag in zip(texts, complete, strict=True)]


def plain(column: pd.Series) -> list[Any]:
    """Values as JSON has them."""
    values = column.astype(object).where(column.notna(), None)
    return [each.isoformat() if isinstance(each, date) else each for each in values]


def _height(series: int) -> int:
    """On a phone each entry of the legend takes a line."""
    return HEIGHT + LEGEND_LINE * max(0, series - 3)


def _placed(made: Figure, places: pd.Series) -> Figure:
    """Ticks at the periods themselves: of weeks at Mondays, of months at their names."""
    dates = sorted({day for day in places if isinstance(day, date)})
    if not dates and not pd.api.types.is_numeric_dtype(places):
        return named(made, "xaxis")
    made["layout"]["xaxis"]["tickangle"] = 0
    if not dates:
        return made
    steps = {(after - before).days for before, after in itertools.pairwise(dates)}
    ticks: dict[str, Any] = {}
    if all(day.day == 1 for day in dates) and (not steps or min(steps) >= 28):
        many = -(-len(dates) // MOST_TICKS)
        ticks = {"dtick": f"M{many}", "tick0": dates[0].isoformat(), "tickformat": "%b\n%Y"}
    elif steps and min(steps) % 7 == 0:
        many = -(-((dates[-1] - dates[0]).days // 7 + 1) // MOST_TICKS)
        ticks = {"dtick": many * 7 * 86_400_000, "tick0": dates[0].isoformat(), "tickformat": "%b %-d\n%Y"}
    made["layout"]["xaxis"] |= {"type": "date", **ticks}
    return made


def _hover(unit: str) -> str:
    if unit == PERCENT:
        return "%{y:.1%}"
    return "%{y:,.2~f}" + (f" {unit}" if unit else "")


def _number(value: float, unit: str) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.1%}" if unit == PERCENT else f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.4g}"
