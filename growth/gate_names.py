"""Names in column ``gate`` of ``mart.gate_results`` that stand for no layer's gate: their checks stop no run."""

from __future__ import annotations

FRESHNESS = "freshness"  # of data_quality, by the clock
AGEING = "ageing"  # of the end of a run, where old rows leave raw
STOP_NOTHING = (FRESHNESS, AGEING)
