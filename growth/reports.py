"""The pages that people look at: an index, the dbt docs, the data card, Elementary's report where it is in use.

Target: ``reports/index.html``, ``reports/dbt-docs/index.html``, ``reports/data-card.html``, ``reports/elementary/``.
"""

from __future__ import annotations

import hashlib
import html
import os
from datetime import UTC, datetime
from pathlib import Path

from markdown_it import MarkdownIt

from growth import dbt, elementary, packages, parsing
from growth.files import write_whole
from growth.settings import PROJECT_ROOT, Warehouse, dbt_target, reports_folder
from growth.status import last_publication
from ingest.errors import ExpectedError

DOCS = "dbt-docs"
DATA_CARD = PROJECT_ROOT / "docs" / "data-card.md"
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #1f2933; }}
h1 {{ font-size: 1.5rem; }}
.note {{ border-left: 4px solid #b45309; background: #fef3c7; padding: .5rem 1rem; }}
small {{ color: #52606d; }}
table {{ border-collapse: collapse; display: block; overflow-x: auto; }}
td, th {{ border: 1px solid #cbd2d9; padding: .2rem .6rem; text-align: left; }}
pre {{ overflow-x: auto; background: #f5f7fa; padding: .5rem 1rem; }}
</style>
</head>
<body>
{body}
<p><small>Written {now:%Y-%m-%d %H:%M} UTC.</small></p>
</body>
</html>
"""


class DocsFailed(ExpectedError):
    """dbt could not write its documentation; the text is its error."""


def write_docs(warehouse: Warehouse) -> bool:
    """Write the dbt docs where they are missing, or the dbt project has changed since.

    Returns:
        Whether they were written.

    Raises:
        DocsFailed: dbt could not read the project or the warehouse.
    """
    folder = reports_folder() / DOCS
    mark, version = folder / ".version", _project_version()
    if mark.exists() and mark.read_text("utf-8") == version:
        return False
    # compiled tests, which nobody looks up there, would take most of the time
    tests = ["resource_type:test", "resource_type:unit_test"]
    result = dbt.invoke(["docs", "generate", "--static", "--quiet", "--exclude", *tests], warehouse)
    if not result.succeeded:
        raise DocsFailed(f"dbt docs generate: {result.error}")
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "index.html", (dbt_target() / "static_index.html").read_bytes())
    mark.write_text(version, encoding="utf-8")
    return True


def write_index(warehouse: Warehouse | None = None) -> Path:
    """Write the index page: what there is, what is absent and how to get it, and the last publication if asked for.

    Raises:
        psycopg.OperationalError: no connection to a warehouse that was given.
    """
    folder = reports_folder()
    body = ["<h1>Growth Analytics: reports</h1>"]
    if dashboard := os.environ.get("GROWTH_DASHBOARD_URL"):
        body.append(f'<p><a href="{html.escape(dashboard)}">Dashboard</a></p>')
    if version := packages.elementary_version():
        body.append(f"<p>Elementary {html.escape(version)} is in use.</p>")
    else:
        body.append(f'<p class="note">{html.escape(packages.ABSENT)}</p>')
    if (folder / elementary.FOLDER / elementary.NEWEST).exists():
        body.append(f'<p><a href="{elementary.FOLDER}/">Data quality: newest Elementary report</a></p>')
        links = [
            f'<a href="{elementary.FOLDER}/{path.name}">{elementary.written_at(path):%Y-%m-%d %H:%M}</a>'
            for path in elementary.dated_reports()
        ]
        if links:
            body.append(f"<p><small>By the time they were written (UTC): {', '.join(links)}</small></p>")
    if (folder / DOCS / "index.html").exists():
        body.append(f'<p><a href="{DOCS}/">dbt docs: models, columns, lineage</a></p>')
    else:
        body.append("<p>The dbt docs come with the first run.</p>")
    if DATA_CARD.exists():  # a project of one's own may do without
        _write_page(folder / "data-card.html", "Data card", MarkdownIt("gfm-like").render(DATA_CARD.read_text("utf-8")))
        body.append('<p><a href="data-card.html">Data card: what is in the sample data</a></p>')
    if warehouse is not None:
        body.append(f"<p>{html.escape(last_publication(warehouse))}</p>")
    return _write_page(folder / "index.html", "Growth Analytics: reports", "\n".join(body))


def _write_page(page: Path, title: str, body: str) -> Path:
    page.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(page, PAGE.format(title=title, body=body, now=datetime.now(UTC)).encode())


def _project_version() -> str:
    """A fingerprint of everything that the dbt docs are made of, and of the packages beside it."""
    project = PROJECT_ROOT / "dbt_project"
    paths = sorted(path for pattern in parsing.SOURCES for path in project.rglob(pattern))
    content = hashlib.sha256(packages.elementary_version().encode())
    for path in paths:
        content.update(f"{path.relative_to(project)}\0".encode() + path.read_bytes())
    return content.hexdigest()
