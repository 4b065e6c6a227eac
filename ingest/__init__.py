"""Feed contracts, and what follows from them: raw tables, dbt sources, and the load of landed files into raw.

Knows nothing of Airflow or of the command line; both call it.
"""
