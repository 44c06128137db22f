"""The machine that the figures were measured on, in one line."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
from pathlib import Path


def machine_line(folder: Path) -> str:
    """CPU, cores, load, Python, SQLite, and the file system that ``folder`` lies on."""
    cores = os.cpu_count() or 1
    return (
        f"{_processor()}, {cores} core{'s' * (cores > 1)}, load {os.getloadavg()[0]:.1f} · "
        f"Python {platform.python_version()} · SQLite {sqlite3.sqlite_version} · "
        f"{file_system(folder)} in {folder}"
    )


def file_system(folder: Path) -> str:
    """Its type, such as ext4; commits on tmpfs are durable in name only."""
    best, kind = "", "unknown file system"
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return kind
    here = str(folder.resolve())
    for line in mounts:
        _, point, found, *_ = line.split(" ")
        inside = here == point or here.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, found
    return kind


def version_of(program: str) -> str | None:
    """The first line of ``program --version``; None when it is not on PATH."""
    if shutil.which(program) is None:
        return None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return said.stdout.partition("\n")[0].strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
