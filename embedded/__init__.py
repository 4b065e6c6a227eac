"""The mode without Docker: an embedded Postgres and local Airflow processes, all state in one home folder."""
