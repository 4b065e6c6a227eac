"""Where the tools' messages point to: the texts are those of dbt, Airflow and the contracts."""

from __future__ import annotations

from pathlib import Path

import pytest

from growth.dbt import DbtResult, NodeFailure
from growth.precheck.findings import of_contracts, of_dbt, of_imports
from ingest.contract_files import load_contracts
from ingest.errors import ContractError

YAML = """\
Parsing Error
  Error reading growth: mart/a.yml - Runtime Error
    Syntax error near line 3
    ------------------------------
    3  |     description: x: y

    Raw Error:
    ------------------------------
    mapping values are not allowed in this context
      in "<unicode string>", line 3, column 19"""
JINJA = """\
Compilation Error in model a (models/mart/a.sql)
  expected token 'end of print statement', got 'as'
    line 2
      select {{ ref('dim') as x"""
MACRO = """\
Compilation Error
  Expected an expression, got 'end of statement block'
    line 2
      {% if %}"""
REFERENCE = """\
Compilation Error
  Model 'model.growth.a' (models/mart/a.sql) depends on a node named 'dimm' which was not found"""
UNIT = """\
Parsing Error
  Unable to find model 'growth.nothing' for unit test 'q' in models/mart/a.yml"""
GENERATED = """\
Database Error in model a (models/mart/a.sql)
  column "x" does not exist
  LINE 40: where made_by_a_macro(x)
                                 ^
  compiled code at /tmp/scratch/run/growth/models/mart/a.sql"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "dbt_project/models/mart/a.sql": "-- one row\nselect {{ ref('dimm') }}, usr_id\n",
        "dbt_project/models/mart/a.yml": "unit_tests:\n  - name: q\n    model: nothing\n",
        "dbt_project/macros/m.sql": "{% macro m() %}\n    {% if %}\n{% endmacro %}\n",
        "dbt_project/macros/n.sql": "{% macro n() %}\n1\n{% endmacro %}\n",
        "dags/growth_tasks/steps.py": "import functoolz\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (YAML, "dbt_project/models/mart/a.yml:3:19: "),
        (JINJA, "dbt_project/models/mart/a.sql:2: "),
        (MACRO, "dbt_project/macros/m.sql:2: "),
        (REFERENCE, "dbt_project/models/mart/a.sql:2:16: "),
        (UNIT, "dbt_project/models/mart/a.yml:3:12: "),
        ("Runtime Error\n  Could not connect", "Runtime Error"),
    ],
)
def test_what_dbt_cannot_parse_is_placed(project: Path, error: str, place: str) -> None:
    [finding] = of_dbt(DbtResult(False, 0, (), error), project)
    assert str(finding).startswith(place)


@pytest.mark.parametrize(
    ("message", "place"),
    [
        (GENERATED.replace("made_by_a_macro(x)", "select 1"), "dbt_project/models/mart/a.sql: "),
        ('x\n  column "usr_id"\n  LINE 9: usr_id\n          ^', "dbt_project/models/mart/a.sql:2:27: a: x"),
    ],
)
def test_what_the_server_refuses_is_placed_where_the_file_has_it(project: Path, message: str, place: str) -> None:
    failures = (
        NodeFailure("a", "error", message, None, "", path="models/mart/a.sql"),
        NodeFailure("b", "warn", "is no fault", 3, ""),
    )
    [finding] = of_dbt(DbtResult(False, 2, failures, ""), project)
    assert str(finding).startswith(place)
    assert "/tmp/scratch" not in str(finding), "which is gone when somebody reads it"


def test_a_cause_that_stops_several_dags_is_told_once(project: Path) -> None:
    steps = project / "dags" / "growth_tasks" / "steps.py"
    trace = f'Traceback:\n  File "/lib/airflow.py", line 4, in x\n  File "{steps}", line 1, in <module>\nNo module'
    errors = {str(project / "dags" / name): trace for name in ("a.py", "b.py")}
    errors[str(project / "dags" / "c.py")] = "AirflowTimetableInvalid: Exactly 5 columns"
    assert [str(finding) for finding in of_imports(errors, project)] == [
        "dags/growth_tasks/steps.py:1: No module",
        "dags/c.py: AirflowTimetableInvalid: Exactly 5 columns",
    ]


def test_a_fault_of_a_contract_has_the_place_of_its_key(tmp_path: Path) -> None:
    feeds = tmp_path / "feeds"
    (feeds / "web").mkdir(parents=True)
    (feeds / "web" / "visits.yml").write_text("feed: visits\ndomain: web\ncolumns:\n  - {name: a,  typ: text}\n")
    (feeds / "web" / "broken.yml").write_text("feed: visits\ndomain: x: y\n")
    with pytest.raises(ContractError) as error:
        load_contracts(feeds)
    found = [str(finding) for finding in of_contracts(str(error.value), tmp_path)]
    assert found[0].startswith("feeds/web/broken.yml:2:10: is no valid YAML")
    column = "  - {name: a,  typ".index("typ") + 1
    assert [text for text in found if text.startswith(f"feeds/web/visits.yml:4:{column}: columns[0].typ: unknown key")]
    assert [text for text in found if text.startswith("feeds/web/visits.yml:1:1: description: is missing")]
    [absent] = of_contracts("/nowhere: there is no such folder of feed contracts", tmp_path)
    assert str(absent) == "/nowhere: there is no such folder of feed contracts"
