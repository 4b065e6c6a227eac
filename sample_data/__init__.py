"""Deterministic, realistic sample files for the demo, the tests and the benchmarks; see docs/data-card.md."""

from sample_data.files import WrittenFile
from sample_data.sample import DEFAULT_START, FEEDS, write_sample
from sample_data.truths import ENGAGEMENT_TRUTHS, Truth

__all__ = ["DEFAULT_START", "ENGAGEMENT_TRUTHS", "FEEDS", "Truth", "WrittenFile", "write_sample"]
