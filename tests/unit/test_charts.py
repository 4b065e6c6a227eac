"""Figures of the dashboard."""

from __future__ import annotations

import pandas as pd
import pytest

from dashboard import charts


@pytest.mark.parametrize(("columns", "angle"), [(["facebook", "messenger"], -90), ([0, 12], 0)])
def test_names_hang_from_the_cells_of_a_heatmap_and_have_room(columns: list[str | int], angle: int) -> None:
    cells = pd.DataFrame({"x": columns, "y": ["a", "b"], "z": [0.1, 0.2]})
    layout = charts.heatmap(cells, "x", "y", "z", ["10%", "20%"], charts.PERCENT, x_title="x")["layout"]
    assert layout["xaxis"]["tickangle"] == angle
    room = charts.LETTER * len("messenger") if angle else 0
    assert layout["margin"]["b"] == charts.MARGIN["b"] + room
    assert layout["height"] == 90 + 2 * charts.CELL_HEIGHT + room
