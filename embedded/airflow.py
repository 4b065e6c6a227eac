"""Airflow without Docker: its environment, a single run of a DAG, and the supervised stack with the web interface."""

from __future__ import annotations

from embedded.errors import EmbeddedError
from embedded.metadata import airflow_environment, migrate
from embedded.run import run_dag
from embedded.stack import AirflowStack

__all__ = ["AirflowStack", "EmbeddedError", "airflow_environment", "migrate", "run_dag"]
