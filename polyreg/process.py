"""Whose process a run is, and whether that process is still there."""

import functools
import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

PROC = Path("/proc")


def identity() -> dict[str, str]:
    """Tags that name this process: host, machine, boot_id, process_id, process_start.

    Two machines may share a name, a machine's ids of processes are used again, and containers each
    have their own: so `machine`, and the start, with the namespace that the id belongs to.
    """
    return {
        "host": platform.node(),
        "machine": _machine(),
        "boot_id": _boot_id(),
        "process_id": str(os.getpid()),
        "process_start": _start(os.getpid()) or "",
    }


def is_gone(tags: Mapping[str, str]) -> bool:
    """Whether the process that these tags name has ended; False where that cannot be told here."""
    if tags.get("host") != platform.node() or tags.get("machine", _machine()) != _machine():
        return False
    if not tags.get("process_id", "").isdecimal():
        return False
    boot = tags.get("boot_id", "")
    if boot and boot != _boot_id():
        return True
    was, now = tags.get("process_start", ""), _start(int(tags["process_id"]))
    if now is None:
        return was.partition("@")[2] in ("", _namespace())
    return bool(was) and was.partition("@")[2] == now.partition("@")[2] and was != now


@functools.cache
def _machine() -> str:
    try:  # not to be shown as it is, says its manual page
        return hashlib.sha256(Path("/etc/machine-id").read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


@functools.cache
def _boot_id() -> str:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return _said("sysctl", "-n", "kern.bootsessionuuid")  # macOS


def _namespace() -> str:
    try:
        return os.readlink(PROC / "self/ns/pid")
    except OSError:
        return ""


def _start(process_id: int) -> str | None:
    """When a process started, in its system's own words; None where there is none."""
    if not (PROC / "self/stat").exists():
        return _said("ps", "-o", "lstart=", "-p", str(process_id)) or None
    try:
        # The name, in parentheses, may hold anything; state is the 3rd field, start the 22nd.
        state, *fields = (PROC / f"{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else f"{fields[18]}@{_namespace()}"


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
