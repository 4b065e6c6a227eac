"""The command line and what it shares with the DAG: settings, roles, dbt, publishing."""
