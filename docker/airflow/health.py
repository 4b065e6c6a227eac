#!/opt/venv/bin/python -IS
"""Whether an Airflow component is healthy: exit code 0 or 1.

By the API server's monitor; a worker by its own answer through the broker. `airflow jobs check` and `celery inspect`
would import all of Airflow, 17 seconds and more on a busy machine; this takes a tenth of one, for a worker half of one.
"""

import json
import runpy
import site
import socket
import sys
import urllib.request

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


def monitored(component: str) -> str:
    """The state of a component, as the API server sees it."""
    host = "127.0.0.1" if component == "metadatabase" else "airflow-apiserver"
    try:
        with urllib.request.urlopen(f"http://{host}:8080/api/v2/monitor/health", timeout=5) as response:
            return str(json.load(response)[component]["status"])
    except (OSError, ValueError, KeyError) as error:
        return repr(error)


def worker() -> str:
    """The state of this container's worker: one that answers but takes from no queue any more is not healthy."""
    site.main()  # what is installed, for the one check that needs it
    from celery import Celery

    broker = runpy.run_path("/usr/local/bin/airflow-secret")["SETTINGS"]["broker"]()
    name = f"celery@{socket.gethostname()}"
    try:
        with Celery(broker=broker, set_as_current=False) as app:
            queues = (app.control.inspect([name], timeout=10, limit=1).active_queues() or {}).get(name)
    except Exception as error:  # whatever it is, the worker cannot be reached
        return repr(error)
    if queues is None:
        return "does not answer through the broker"
    return "healthy" if queues else "takes from no queue"


component = sys.argv[1] if len(sys.argv) == 2 else ""
if component not in (*COMPONENTS, "worker"):
    sys.exit(f"usage: airflow-health {' | '.join((*COMPONENTS, 'worker'))}")
status = worker() if component == "worker" else monitored(component)
sys.exit(0 if status == "healthy" else f"{component}: {status}")
