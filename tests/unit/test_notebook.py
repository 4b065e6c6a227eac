"""What ``growth notebook`` becomes: JupyterLab on this machine only, whose kernels are analyst and nobody else."""

from __future__ import annotations

import importlib.util
import os

import pytest

from growth import notebook
from growth.settings import Warehouse

OWNER = "the owner's"


def test_notebooks_are_for_this_machine_and_the_reader_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_PASSWORD", OWNER)
    monkeypatch.setenv("WAREHOUSE_ANALYST_PASSWORD", "the reader's")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    became: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.setattr(os, "execve", lambda *call: became.append(call))
    variables = {"PATH": "/bin", "WAREHOUSE_PASSWORD": OWNER, "WAREHOUSE_INGEST_PASSWORD": "ingest's", "PGUSER": "me"}
    notebook.open_notebooks(Warehouse.at("127.0.0.1", 5438), has_browser=False, variables=variables)
    [(program, arguments, environment)] = became
    assert arguments[0] == program
    assert [word for word in arguments if word.startswith("--ip")] == ["--ip=127.0.0.1"]
    assert "--no-browser" in arguments
    assert environment == {
        "PATH": "/bin",
        "PGHOST": "127.0.0.1",
        "PGPORT": "5438",
        "PGDATABASE": "growth",
        "PGUSER": "analyst",
        "PGPASSWORD": "the reader's",
    }


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(notebook.JupyterMissing, match="installed-analysis"):
        notebook.open_notebooks(Warehouse.at("127.0.0.1", 5438), has_browser=True, variables={})
