"""Import the DAG files of a folder as Airflow does, and print what became of them as a line of JSON.

A program of its own: it imports all of Airflow, whose settings are those of its environment.
"""

from __future__ import annotations

import json
import sys


def main(folder: str) -> None:
    """Print the ids of the DAGs, and by file why it could not be imported."""
    sys.path.insert(0, folder)  # as Airflow does for its DAGs folder
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(folder)
    print(json.dumps({"dags": sorted(bag.dags), "errors": bag.import_errors}))


if __name__ == "__main__":
    main(sys.argv[1])
