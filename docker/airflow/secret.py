#!/opt/venv/bin/python -IS
"""Print a setting of Airflow that holds a secret: Airflow asks with ``AIRFLOW__…_CMD`` (docs/secrets.md).

The secret is in a variable, or in the file that the variable of that name with ``_FILE`` names.
"""

import os
import sys
from urllib.parse import quote


def secret(name: str) -> str:
    """The secret of a name, as it is."""
    if path := os.environ.get(f"{name}_FILE"):
        with open(path, encoding="utf-8") as file:
            return file.read().rstrip("\r\n")
    return os.environ[name]


def in_address(name: str) -> str:
    """The secret as part of an address."""
    return quote(secret(name), safe="")


# another one for workers on another machine (docs/workers.md)
DATABASE = os.environ.get("AIRFLOW_DB_ADDRESS") or "airflow-db"
SETTINGS = {
    "secret-key": lambda: secret("AIRFLOW_SECRET_KEY"),
    "fernet-key": lambda: secret("AIRFLOW_FERNET_KEY"),
    "database": lambda: f"postgresql+psycopg2://airflow:{in_address('AIRFLOW_DB_PASSWORD')}@{DATABASE}/airflow",
    "broker": lambda: f"redis://:{in_address('REDIS_PASSWORD')}@redis:6379/0",
    "flower": lambda: f"airflow:{secret('AIRFLOW_PASSWORD')}",
}

if __name__ == "__main__":
    if sys.argv[1:2] == [] or sys.argv[1] not in SETTINGS:
        sys.exit(f"usage: airflow-secret {' | '.join(SETTINGS)}")
    print(SETTINGS[sys.argv[1]](), end="")
