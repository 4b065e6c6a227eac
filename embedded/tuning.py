"""Settings of the embedded server, scaled to the memory and disk of the machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil

MB = 1024 * 1024
GB = 1024 * MB
CONTAINER_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


def memory_bytes() -> int:
    """Memory of the machine, or of the container where that is less."""
    sizes = [psutil.virtual_memory().total]
    for path in CONTAINER_LIMITS:
        try:
            sizes.append(int(path.read_text()))
        except (OSError, ValueError):  # absent, or "max"
            continue
    return min(sizes)


def settings(data: Path) -> dict[str, str]:
    """Server settings: durable, without replication, for large loads and sorts by few connections.

    Args:
        data: the data folder, whose disk bounds the write-ahead log.
    """
    memory = memory_bytes()
    disk = shutil.disk_usage(data).free
    chosen = {
        "shared_buffers": _megabytes(memory // 4, 32, 2048),
        "effective_cache_size": _megabytes(memory // 2, 64, 64 * 1024),
        "work_mem": _megabytes(memory // 64, 64, 256),
        "maintenance_work_mem": _megabytes(memory // 16, 64, 1024),
        "max_wal_size": _megabytes(disk // 8, 1024, 8192),
        "min_wal_size": "256MB",
        "wal_level": "minimal",  # COPY into a table made in the same transaction then writes no log
        "max_wal_senders": "0",
        "max_logical_replication_workers": "0",
        "max_locks_per_transaction": "1024",  # a query of raw locks every table of a large load (docs/sizing.md)
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "log_checkpoints": "off",
        "password_encryption": "scram-sha-256",
    }
    if SHARED_MEMORY.exists() and shutil.disk_usage(SHARED_MEMORY).free < GB:
        chosen["dynamic_shared_memory_type"] = "mmap"  # containers give 64 MB: too little for a parallel hash join
    return chosen


def as_file(values: dict[str, str]) -> str:
    """The settings as a Postgres configuration file."""
    lines = [f"{name} = '{value}'" for name, value in values.items()]
    return "\n".join(["# Written at every start. Your own settings: postgresql.conf, below the include.", *lines, ""])


def _megabytes(size: int, least: int, most: int) -> str:
    return f"{max(least, min(most, size // MB))}MB"
