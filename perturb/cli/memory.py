"""How much memory there is, and how much of it a process holds; None where the system does not say (not Linux)."""

import os
from pathlib import Path

GIB = 2**30
SHARE = 0.9  # of what is available when a command starts; the rest is for everybody else
CGROUP = Path("/sys/fs/cgroup")


def limit() -> int | None:
    """The bytes that a command may hold unless told otherwise."""
    found = [amount for amount in (_of_machine(), _of_group()) if amount is not None]
    return int(SHARE * min(found)) if found else None


def held(process: int) -> int:
    """Bytes of memory that the process holds now; 0 where nobody says."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None


def _of_group() -> int | None:
    """What a container's limit leaves; files that were read may be forgotten again."""
    try:
        most = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        return max(most - used + int(stat["inactive_file"]), 0)
    except (OSError, ValueError, KeyError):  # no limit is the word `max`
        return None
