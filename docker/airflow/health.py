#!/opt/venv/bin/python -IS
"""Whether an Airflow component is healthy, by the API server's monitor: exit code 0 or 1.

`airflow jobs check` would import all of Airflow, 17 seconds and more on a busy machine; this takes a tenth of one.
"""

import json
import sys
import urllib.request

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")

component = sys.argv[1]
if component not in COMPONENTS:
    sys.exit(f"usage: airflow-health {' | '.join(COMPONENTS)}")
host = "127.0.0.1" if component == "metadatabase" else "airflow-apiserver"
try:
    with urllib.request.urlopen(f"http://{host}:8080/api/v2/monitor/health", timeout=5) as response:
        status = json.load(response)[component]["status"]
except (OSError, ValueError, KeyError) as error:
    sys.exit(f"{component}: {error!r}")
sys.exit(0 if status == "healthy" else f"{component}: {status}")
