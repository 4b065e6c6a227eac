"""What can go wrong: the base of all errors that are expected, and those of loading."""

from __future__ import annotations


class ExpectedError(Exception):
    """Base of what the command line tells in one line: the text is for the user."""


class IngestError(ExpectedError):
    """Base of everything that ``ingest`` raises on purpose.

    ``transient`` says whether trying again may help without anybody's doing.
    """

    transient = False


class ContractError(IngestError):
    """Feed contracts that cannot be used; the message lists every fault with its file and key."""


class RawSchemaMismatchError(IngestError):
    """A raw table is missing, or has other columns than its contract."""


class SchemaTooNew(IngestError):
    """Schema raw is of a newer release than this one."""


class WarehouseUnreachable(IngestError):
    """The connection was refused or lost, or the server is too busy: nothing was loaded, a retry may succeed."""

    transient = True


class FileRefused(IngestError):
    """A file cannot be loaded as it is; the message is the reason, for whoever delivers the file."""


class FileUnfinished(IngestError):
    """A file changed or went away while it was read: its sender is not done, the next load takes it."""

    transient = True


class LoadStopped(IngestError):
    """The caller was interrupted; the file under way was rolled back."""


class NeedsCare(IngestError):
    """A file cannot be loaded at full speed: its records must be looked at."""


class SpoolFull(IngestError):
    """Records that the server must judge one by one take more room than they were given so far."""


class ColdFileBroken(IngestError):
    """A file that rows of raw were moved to is missing, or not what it was."""


class RowsInUse(IngestError):
    """Somebody reads rows that were to leave raw: another time they can."""

    transient = True


class NothingLoaded(IngestError):
    """A path that no loaded file has."""
