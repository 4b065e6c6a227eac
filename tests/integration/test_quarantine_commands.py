"""What the commands for refused records and loaded files say: rejects, unload."""

from __future__ import annotations

import shutil

import pytest
from support.quarantine import RECORDS, REFUSED

from growth.cli import main
from growth.settings import PROJECT_ROOT


@pytest.fixture
def growth(bench, tmp_path, monkeypatch, capfdbinary):
    """The command line on the bench's warehouse: exit code, standard output, standard error."""
    shutil.copytree(PROJECT_ROOT / "ingest" / "feeds", tmp_path / "feeds")
    contract = tmp_path / "feeds" / "acquisition" / "sessions.yml"
    contract.write_text(contract.read_text().replace("max_reject_rate: 0.05", "max_reject_rate: 0.9"))
    for name, value in bench.warehouse.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GROWTH_FEEDS", str(tmp_path / "feeds"))
    monkeypatch.setenv("GROWTH_LANDING", str(bench.landing))

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["growth", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        output, errors = capfdbinary.readouterr()
        return ended.value.code or 0, output.decode(), errors.decode()

    return run


def test_commands_for_the_quarantine(bench, growth, tmp_path):
    assert growth("rejects", "list") == (0, "", "The quarantine is empty.\n")
    assert growth("rejects", "replay") == (0, "", "The quarantine holds nothing to replay.\n")
    refused = bench.land("sessions/refused.csv", "seven,2024-01-02 10:00:00,true,DIRECT")
    assert growth("load", "--feeds", "sessions")[0] == 1
    assert growth("rejects", "list")[2].splitlines()[1] == (
        "Files that were refused whole, 1 of them, have no record in it: see `growth status`."
    )
    assert growth("rejects", "show", "sessions/refused.csv")[2].endswith(": refused whole, see `growth status`\n")
    refused.unlink()
    assert growth("rejects", "list") == (0, "", "The quarantine is empty.\n")
    bench.land("sessions/a.csv", *RECORDS)
    code, output, errors = growth("load", "--feeds", "sessions")
    assert (code, output) == (0, "")
    assert "sessions/a.csv: 2 records in " in errors
    assert "4 records are in quarantine: growth rejects show sessions/a.csv" in errors

    code, output, errors = growth("rejects", "list", "--format", "csv")
    assert (code, errors) == (0, "")
    assert output.splitlines()[2] == "sessions/a.csv,missing_value,userid,1,4,a required value is missing"
    code, output, errors = growth("rejects", "show", "sessions/a.csv", "--limit", "2", "--format", "csv")
    assert (code, len(output.splitlines())) == (0, 3)
    assert errors == (
        "These are the first 2; more with --limit, all of them with: growth rejects export sessions/a.csv\n"
    )
    assert output.splitlines()[1].endswith(',"seven,2024-01-02,true,DIRECT"')
    expected = "".join(
        f"{line}\n" for line in ("userid,time_started,is_paid,medium", *(r[4].decode() for r in REFUSED))
    )
    assert growth("rejects", "export", "sessions/a.csv") == (0, expected, "")
    target = tmp_path / "bad.csv"
    code, output, errors = growth("rejects", "export", "sessions/a.csv", "--output", str(target))
    assert (code, output, target.read_text()) == (0, "", expected)
    target.write_text("half corrected")
    assert growth("rejects", "export", "sessions/a.csv", "--output", str(target))[0] == 1
    assert target.read_text() == "half corrected"

    assert growth("rejects", "replay", "sessions/a.csv") == (
        *(1, ""),
        "sessions/a.csv: 0 loaded, 4 stay in quarantine\n",
    )
    contract = tmp_path / "feeds" / "acquisition" / "sessions.yml"
    text = contract.read_text().replace("type: bigint", "type: text").replace("type: boolean", "type: text")
    contract.write_text(text.replace("nullable: false", "nullable: true", 1))
    code, output, errors = growth("rejects", "replay")
    assert (code, output) == (0, "")
    assert errors.splitlines()[-1] == "sessions/a.csv: 4 loaded, 0 stay in quarantine", errors
    assert growth("rejects", "show", "sessions/a.csv")[2] == "sessions/a.csv: nothing in quarantine\n"

    code, output, errors = growth("unload", "sessions/a.csv")
    assert (code, output) == (0, "")
    assert errors.splitlines()[0] == "sessions/a.csv: 6 records taken out of raw"
    assert errors.splitlines()[1].startswith("The file still lies in the landing folder")
    assert bench.value("select count(*) from raw.sessions") == 0


@pytest.mark.parametrize(
    "arguments", [("unload",), *(("rejects", verb) for verb in ("show", "export", "discard", "replay"))], ids=" ".join
)
@pytest.mark.parametrize("path", ["sessions/none.csv", "nobody/none.csv", "../sessions/none.csv"])
def test_commands_say_when_nothing_of_that_name_is_loaded(growth, bench, arguments, path):
    code, output, errors = growth(*arguments, path)
    assert output == ""
    if path.startswith("sessions"):
        assert errors in (
            "growth: sessions/none.csv: no file of that name is loaded\n",
            "The quarantine holds nothing to replay.\n",
            "sessions/none.csv: nothing in quarantine\n",
            "sessions/none.csv: 0 records taken off the quarantine\n",
        )
        assert code == (0 if {"show", "discard", "replay"} & {*arguments} else 1)
    else:
        assert code == 1
        known = ", ".join(bench.contracts)
        assert errors == f"growth: {path}: unknown feed: {path.split('/')[0]}; there are: {known}\n"


@pytest.mark.parametrize(
    "shown", ["landing/sessions/a.csv", "{root}/landing/sessions/a.csv", "{root}/link/sessions/a.csv"]
)
def test_a_file_is_named_as_a_shell_completes_it(growth, bench, tmp_path, monkeypatch, shown):
    bench.land("sessions/a.csv", *RECORDS)
    assert growth("load", "--feeds", "sessions")[0] == 0
    (tmp_path / "link").symlink_to(bench.landing)
    if "link" in shown:
        monkeypatch.setenv("GROWTH_LANDING", str(tmp_path / "link"))
        shown = shown.replace("link", "landing")  # what a shell says that stands behind the link
    monkeypatch.chdir(tmp_path)
    path = shown.format(root=tmp_path.resolve())
    assert len(growth("rejects", "show", path, "--format", "csv")[1].splitlines()) == 5
    assert growth("unload", path)[2].splitlines()[0] == "sessions/a.csv: 2 records taken out of raw"
    monkeypatch.chdir(bench.landing / "sessions")
    assert growth("rejects", "show", "a.csv")[2] == "sessions/a.csv: nothing in quarantine\n"
    assert growth("rejects", "show", "../../a.csv")[0] == 1
