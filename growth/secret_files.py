"""Secrets from files: what ``NAME_FILE`` names becomes ``NAME``, before anything of this package asks for it.

Source: the files that the environment names, such as Docker's ``/run/secrets/…``. Target: the environment of this
process. Airflow's own settings come from the same files (docker/airflow/secret.py).
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from pathlib import Path

SECRETS = (
    *("WAREHOUSE_PASSWORD", "WAREHOUSE_INGEST_PASSWORD", "WAREHOUSE_TRANSFORM_PASSWORD", "WAREHOUSE_ANALYST_PASSWORD"),
    *("AIRFLOW_PASSWORD", "AIRFLOW_DB_PASSWORD", "AIRFLOW_SECRET_KEY", "AIRFLOW_FERNET_KEY", "REDIS_PASSWORD"),
    "GRAFANA_PASSWORD",
    *("GROWTH_SLACK_WEBHOOK_URL", "GROWTH_WEBHOOK_URL", "GROWTH_SMTP_PASSWORD"),
    *("ELEMENTARY_SLACK_TOKEN", "ELEMENTARY_SLACK_WEBHOOK_URL", "ELEMENTARY_TEAMS_WEBHOOK_URL"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
)


# Also what Airflow and the clouds' own programs know, such as AIRFLOW_CONN_… and AWS_SESSION_TOKEN.
SECRETIVE = ("AIRFLOW_", "AWS_", "ELEMENTARY_", "WAREHOUSE_")


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for a process that is to know no secret, nor where the file of one is."""
    secret = {"PGPASSWORD", *SECRETS, *(f"{name}_FILE" for name in SECRETS)}
    return {name: value for name, value in environment.items() if name not in secret and not name.startswith(SECRETIVE)}


def read(environment: MutableMapping[str, str]) -> None:
    """Set every secret that has a file to what stands in it, without the end of the line; a file goes before a value.

    Raises:
        SystemExit: a file that cannot be read, or is empty; the text names the variable, the file and what to do.
    """
    for name in SECRETS:
        path = environment.get(f"{name}_FILE")
        if not path:
            continue
        try:
            value = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise SystemExit(
                f"{name}_FILE={path} cannot be read ({reason}). With Docker, the users of the containers must be"
                " able to read it: chmod 644, in a folder that only you may enter (docs/secrets.md)."
            ) from error
        if not value:
            raise SystemExit(f"{name}_FILE={path} is empty: write the secret into it, or unset {name}_FILE.")
        environment[name] = value
