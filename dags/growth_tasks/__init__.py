"""Builders of the tasks that the DAGs in this folder wire together."""
