"""The dashboard: pages over schema mart for everyone who does not write SQL."""
