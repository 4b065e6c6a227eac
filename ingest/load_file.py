"""Load one file into raw, in one transaction, or refuse it.

Source: a file of ``landing/<feed>/**``. Target: ``raw.<feed>``, and the file's entry in the ledger, its changed days
and its quarantined records, together or not at all.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg

from ingest import ledger
from ingest.archive import archive
from ingest.contract import Contract
from ingest.copy import connect, is_about_content, read_dates_as
from ingest.errors import FileRefused, FileUnfinished, IngestError, LoadStopped, NeedsCare, SpoolFull
from ingest.fill import Target, attach_load_tables, fill_load_tables, fill_raw_table, names_a_relative_time
from ingest.judge import SPOOL_BYTES, Spool, quarantine
from ingest.landing import Delivery
from ingest.quarantine import check_limit
from ingest.reading import RecordStream
from ingest.results import LoadProgress, LoadResult, ProgressCallback
from ingest.source import Source, contract_for, open_source
from ingest.standstill import hold_off_standstill
from ingest.tombstones import hold_off_erasure, keep_out

PROGRESS_SECONDS = 0.5
_MORE_ROOM = 4  # times as much for suspects, where so many of them may be good
_SPARE_BYTES = 64 << 20  # of the disk, for others

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadJob:
    """What every worker of a load needs to know, as ``load_feed`` has it; ``stop`` makes them roll back their work."""

    conninfo: str
    contract: Contract
    contracts: Collection[Contract]
    landing: Path
    run_id: str | None
    progress: ProgressCallback | None
    large_file_bytes: int
    worker_count: int
    stop: threading.Event = field(default_factory=threading.Event)

    def is_large(self, size_bytes: int) -> bool:
        """Whether a file of this size is streamed over several connections."""
        return size_bytes >= self.large_file_bytes


def load_file(conn: psycopg.Connection, job: LoadJob, delivery: Delivery) -> LoadResult:
    """Load one file in one transaction; a refusal is written down in another, after the first was rolled back.

    Raises:
        IngestError: another file than the delivered one is missing or closed, such as the folder of temporary files.
    """
    started = time.monotonic()
    result = LoadResult(delivery.feed, delivery.source_file, "unfinished")
    try:
        result = _load_or_refuse(conn, job, delivery)
    except FileUnfinished as error:
        result = replace(result, error=str(error))
    except (FileNotFoundError, PermissionError) as error:
        if str(error.filename) != str(delivery.path):
            raise IngestError(
                f"{delivery.source_file} is not loaded, through no fault of it: {error}; temporary files go to the"
                " folder that TMPDIR names"
            ) from error
        if isinstance(error, FileNotFoundError):
            result = replace(result, error="went away before it was read")
        else:
            reason = f"cannot be read: {error.strerror}"
            result = refuse_unread(conn, job.contract, delivery.source_file, reason, job.run_id)
    return replace(result, seconds=time.monotonic() - started)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One try to load one file: ``watch`` reports how far it is, ``suspects`` is None at full speed."""

    job: LoadJob
    contract: Contract
    delivery: Delivery
    source: Source
    watch: _Watch
    started_at: datetime
    suspects: Spool | None

    @property
    def extract_date(self) -> date | None:
        """Of a full extract; None for other feeds."""
        if not self.contract.has_extract_date:
            return None
        return self.delivery.extract_date or self.started_at.date()

    def entry(self, field_names: Sequence[str] | None = None) -> ledger.Entry:
        """What the ledger says of the file; reads the rest of it, to know its sha256."""
        delivery, source = self.delivery, self.source
        names = None if field_names is None else tuple(field_names)
        sha256 = source.sha256()
        return ledger.Entry(
            *(delivery.feed, delivery.source_file, sha256, source.size_bytes),
            *(self.started_at, self.job.run_id, names, source.state()),
        )


def _load_or_refuse(conn: psycopg.Connection, job: LoadJob, delivery: Delivery) -> LoadResult:
    started_at = datetime.now(UTC)
    contract = contract_for(job.contract, delivery.source_file)
    with_care = _must_be_careful(contract)
    room = SPOOL_BYTES
    while True:
        watch = _Watch(job, delivery)
        with open_source(delivery.path, job.contract, watch) as source, Spool(room) as spool:
            source.check_same(delivery.size_bytes, delivery.modified_ns, delivery.identity)
            attempt = _Attempt(job, contract, delivery, source, watch, started_at, spool if with_care else None)
            try:
                try:
                    result = _load(conn, attempt)
                except SpoolFull:
                    _check_so_far(conn, attempt, spool)
                    room = _more_room(room)
                    continue
            except (NeedsCare, FileRefused, psycopg.Error) as error:
                if isinstance(error, psycopg.Error) and not is_about_content(error):
                    raise
                source.check_unchanged()  # half a file is bad for no fault of its sender
                if not with_care and not isinstance(error, FileRefused):
                    with_care = True
                    continue
                reason = _reason(error)
                load_id = ledger.record_refused(conn, attempt.entry(), reason)
                return LoadResult(
                    *(delivery.feed, delivery.source_file, "refused"),
                    size_bytes=source.size_bytes,
                    error=reason,
                    load_id=load_id,
                )
            if job.contract.after_load == "archive":
                _archive(job, source, delivery)
            return result


def _check_so_far(conn: psycopg.Connection, attempt: _Attempt, suspects: Spool) -> None:
    """Judge what a load has found that has no room left, and store nothing of it.

    Raises:
        FileRefused: the file has more bad records than its contract tolerates, unless what follows is another file.
    """
    contract, stream, source = attempt.contract, attempt.watch.stream, attempt.source
    assert stream is not None  # it has found them
    with conn.transaction(force_rollback=True):
        read_dates_as(conn, contract)
        hold_off_erasure(conn)
        load_id = ledger.next_load_id(conn)
        suspects.judge(conn, contract, load_id, attempt.extract_date)
        rejected = quarantine(conn, contract.feed, load_id)
        rejected -= keep_out(conn, contract, load_id).reject_count
        try:
            share_read = source.read_bytes / max(source.size_bytes, 1)
            check_limit(conn, contract, load_id, rejected, stream.record_count, share_read=share_read)
        except FileRefused as error:
            first, *reasons = str(error).splitlines()
            first += "; these fill the room for them, and it was read no further: correct it, or land it in parts"
            raise FileRefused("\n".join([first, *reasons])) from None


def _more_room(room: int) -> int:
    """Bytes for the records of a file that are judged one by one, where so many are not enough: what the disk gives.

    Raises:
        FileRefused: it gives no more; the next load tries again.
    """
    folder = tempfile.gettempdir()
    free_bytes = shutil.disk_usage(folder).free
    more = min(_MORE_ROOM * room, room + free_bytes - _SPARE_BYTES)  # what has been taken is given back before
    if more <= room:
        raise FileRefused(
            f"its records that must be judged one by one need more than {room >> 20:,} MiB in {folder}, where"
            f" {free_bytes >> 20:,} MiB are free: make room, set TMPDIR to another folder, or land it in parts"
        )
    return more


def _reason(error: Exception) -> str:
    """Why a file is refused, without what the server quotes of its records."""
    text = str(error)
    if isinstance(error, psycopg.Error):
        text = re.sub(r'".*"', '"…"', error.diag.message_primary or text, flags=re.DOTALL)
    return text.replace("\0", "\\0")


def _archive(job: LoadJob, source: Source, delivery: Delivery) -> None:
    """Move a file away that is in raw now; what came to its path since stays there for the next load."""
    try:
        archive(delivery, source, job.landing)
    except (FileUnfinished, FileNotFoundError):  # another content; or another loader has moved it
        return
    except OSError as error:
        logger.warning("%s is loaded, but cannot be moved to the archive: %s", delivery.source_file, error)


def _must_be_careful(contract: Contract) -> bool:
    """Whether COPY alone cannot read what the contract states."""
    return len(contract.csv.nulls) > 1 or any(column.format is not None for column in contract.columns)


def _load(conn: psycopg.Connection, attempt: _Attempt) -> LoadResult:
    job = attempt.job
    try:
        with conn.transaction():
            return _load_in_transaction(conn, attempt)
    except BaseException:
        # Load tables are committed before this transaction; what a killed load leaves, the next one sweeps.
        if job.is_large(attempt.source.size_bytes):
            with suppress(IngestError, psycopg.Error), connect(job.conninfo, job.contract) as other:
                ledger.sweep(other, job.contract.feed)
        raise


def _load_in_transaction(conn: psycopg.Connection, attempt: _Attempt) -> LoadResult:
    job, delivery, source, suspects = attempt.job, attempt.delivery, attempt.source, attempt.suspects
    contract = attempt.contract
    read_dates_as(conn, contract)
    looked_at = ledger.loaded_file(conn, delivery.source_file)
    if looked_at is not None and (skipped := _skip(conn, job, delivery, source, looked_at)):
        return skipped  # what is there already waits for nobody
    hold_off_standstill(conn, delivery.source_file, lambda: _check_stop(job))
    hold_off_erasure(conn)
    ledger.lock_path(conn, delivery.source_file)
    old = ledger.loaded_file(conn, delivery.source_file)
    if old is not None and old != looked_at and (skipped := _skip(conn, job, delivery, source, old)):
        return skipped
    extract_date = attempt.extract_date
    if old is not None and extract_date is not None and delivery.extract_date is None and old.loaded_on != extract_date:
        kept_as = ledger.keep_extract(conn, contract.feed, delivery.source_file, old)
        logger.info("%s: the extract of %s stays, as %s", delivery.source_file, old.loaded_on, kept_as)
        old = None
    load_id = ledger.next_load_id(conn)
    target = Target(contract, load_id, extract_date)
    stream = RecordStream(source, contract, job.contracts)
    attempt.watch.stream = stream
    if job.is_large(source.size_bytes):
        ledger.claim(conn, load_id)
        filled = fill_load_tables(job.conninfo, target, stream, suspects, job.worker_count)
        attach_load_tables(conn, target)
    else:
        filled = fill_raw_table(conn, target, stream, suspects)
    if old is not None and old.loaded_count and not (stream.record_count or contract.csv.header):
        raise FileRefused(
            f"has no record, and would replace the {old.loaded_count:,} that were loaded of it: deliver it again,"
            f" or take these out with: growth unload {delivery.source_file}"
        )
    if filled.is_recent:
        _check_no_relative_time(job, delivery)
    days, loaded, rejected = set(filled.days), filled.record_count, 0
    if suspects is not None and suspects.record_count:
        suspects.judge(conn, contract, load_id, extract_date)
        rejected = quarantine(conn, contract.feed, load_id)
        loaded += suspects.record_count - rejected
        days |= ledger.days_of_load(conn, contract, load_id)
    erased = keep_out(conn, contract, load_id)
    loaded, rejected = loaded - erased.row_count, rejected - erased.reject_count
    check_limit(conn, contract, load_id, rejected, stream.record_count)
    if loaded + rejected + erased.record_count != stream.record_count:
        raise IngestError(
            f"{delivery.source_file} has {stream.record_count} records; {loaded} are loaded, {rejected} refused and"
            f" {erased.record_count} of erased people, which is not all of them"
        )
    ledger.record_changed_days(conn, contract.feed, days, load_id)
    if old is not None:
        ledger.remove_load(conn, contract, old.load_id, load_id, "replaced")
    entry = attempt.entry(stream.field_names)
    ledger.record_loaded(conn, load_id, entry, loaded, rejected, erased.record_count)
    source.check_unchanged()
    return LoadResult(
        *(delivery.feed, delivery.source_file, "loaded", loaded, source.size_bytes),
        rejected_count=rejected,
        erased_count=erased.record_count,
        added_columns=stream.header.added,
        load_id=load_id,
    )


def _skip(
    conn: psycopg.Connection, job: LoadJob, delivery: Delivery, source: Source, old: ledger.LoadedFile
) -> LoadResult | None:
    """What to say of a file whose content is in raw already; None for another content."""
    if old.size_bytes == source.size_bytes:
        with open_source(delivery.path, job.contract, lambda *_: _check_stop(job)) as same_file:
            unchanged, state = same_file.sha256() == old.sha256, same_file.state()
        if unchanged:
            ledger.forget_refusals(conn, delivery.source_file)
            if state is not None:
                ledger.record_state(conn, old.load_id, state)
            return result_skipped(delivery, old)
    if job.contract.delivery == "append":
        raise FileRefused(
            "was loaded before with other content, and files of this feed are immutable (delivery: append): land it"
            f" under another name, or take the old rows out first with: growth unload {delivery.source_file}"
        )
    return None


def result_skipped(delivery: Delivery, old: ledger.LoadedFile) -> LoadResult:
    """The result of a file that is in raw already: counts of when it was loaded."""
    return LoadResult(
        *(delivery.feed, delivery.source_file, "skipped", old.loaded_count, old.size_bytes),
        rejected_count=old.rejected_count,
        load_id=old.load_id,
    )


def _check_no_relative_time(job: LoadJob, delivery: Delivery) -> None:
    with open_source(delivery.path, job.contract, lambda *_: _check_stop(job)) as source:
        if names_a_relative_time(source.read_block):
            raise NeedsCare("a word such as now or today, maybe in the place of a time")


def refuse_unread(
    conn: psycopg.Connection, contract: Contract, source_file: str, reason: str, run_id: str | None
) -> LoadResult:
    """Refuse what cannot even be opened: the ledger knows no sha256 of it."""
    entry = ledger.Entry(contract.feed, source_file, None, 0, datetime.now(UTC), run_id)
    load_id = ledger.record_refused(conn, entry, reason)
    return LoadResult(contract.feed, source_file, "refused", error=reason, load_id=load_id)


class _Watch:
    """What to do after each block that was read: stop if told to, report now and then."""

    def __init__(self, job: LoadJob, delivery: Delivery) -> None:
        self.stream: RecordStream | None = None
        self._job, self._delivery = job, delivery
        self._began = self._reported = time.monotonic()

    def __call__(self, read_bytes: int, size_bytes: int) -> None:
        _check_stop(self._job)
        now = time.monotonic()
        progress = self._job.progress
        if progress is not None and (read_bytes == size_bytes or now - self._reported >= PROGRESS_SECONDS):
            self._reported = now
            record_count = self.stream.record_count if self.stream is not None else 0
            file = (self._delivery.feed, self._delivery.source_file)
            progress(LoadProgress(*file, read_bytes, size_bytes, record_count, now - self._began))


def _check_stop(job: LoadJob) -> None:
    if job.stop.is_set():
        raise LoadStopped("the load was stopped")
