"""Deterministic, realistic sample files for the demo, the tests and the benchmarks; see docs/data-card.md."""

from sample_data.files import WrittenFile
from sample_data.sample import DEFAULT_START, FEEDS, write_sample

__all__ = ["DEFAULT_START", "FEEDS", "WrittenFile", "write_sample"]
