"""The command line and what it shares with the DAG: settings, roles, dbt, publishing."""

import os

from growth import secret_files

secret_files.read(os.environ)
