"""The errors of backup and restore: their texts say what happened and what to do."""

from __future__ import annotations

from ingest.errors import ExpectedError


class BackupFailed(ExpectedError):
    """No backup was made, or one could not be restored; the text is for the user."""


class BackupBroken(BackupFailed):
    """A backup that is not whole, or was changed after it was made."""


class RestoreDiffers(BackupFailed):
    """What was restored is not what was backed up."""
