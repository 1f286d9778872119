"""Owner of a run: its process, and whether that is still there."""

import functools
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

TAG = "owner"
NAMES = ("host", "machine", "boot_id", "process_id", "process_start")
PROC = Path("/proc")


def identity() -> dict[str, str]:
    """Names of this process: host, machine, boot_id, process_id, process_start.

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


def tag() -> dict[str, str]:
    """Of a run: this process, as JSON."""
    return {TAG: json.dumps(identity())}


def of(tags: Mapping[str, str]) -> Mapping[str, str]:
    """The identity of the process whose run has these tags; empty where it is none of ours.

    In the first versions, each name was a tag of its own.
    """
    try:
        known = json.loads(tags[TAG])
        if isinstance(known, dict) and "process_id" in known:
            return {name: str(value) for name, value in known.items()}
    except (KeyError, ValueError):  # or a tag that somebody gave
        pass
    return {name: tags[name] for name in NAMES if name in tags}


def is_gone(tags: Mapping[str, str]) -> bool:
    """Whether the process of this identity has ended; False where that cannot be told here."""
    if tags.get("host") != platform.node() or tags.get("machine", _machine()) != _machine():
        return False
    process_id = tags.get("process_id", "")
    if not process_id.isdecimal() or len(process_id) > 10:
        return False
    boot = tags.get("boot_id", "")
    if boot and _boot_id() and boot != _boot_id():
        return True
    was, now = tags.get("process_start", ""), _start(int(process_id))
    if now is None:
        return was.partition("@")[2] in ("", _namespace())
    known = bool(was and now)
    return known and was.partition("@")[2] == now.partition("@")[2] and was != now


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
        return _said("sysctl", "-n", "kern.bootsessionuuid") or ""  # macOS


def _namespace() -> str:
    try:
        return os.readlink(PROC / "self/ns/pid")
    except OSError:
        return ""


def _start(process_id: int) -> str | None:
    """When a process started, in its system's own words; None where there is none, "" where that
    cannot be told."""
    if not (PROC / "self/stat").exists():
        said = _said("ps", "-o", "stat=", "-o", "lstart=", "-p", str(process_id))
        if said is None:
            return ""
        state, _, start = said.partition(" ")
        return None if state.startswith("Z") else start.strip() or None
    try:
        stat = (PROC / f"{process_id}/stat").read_bytes()
    except OSError:
        return "" if _is_there(process_id) else None
    # The name, in parentheses, may hold anything; state is the 3rd field, start the 22nd.
    state, *fields = stat.rpartition(b")")[2].decode().split()
    return None if state == "Z" else f"{fields[18]}@{_namespace()}"


def _is_there(process_id: int) -> bool:
    """Where /proc shows one's own only (hidepid)."""
    try:
        os.kill(process_id, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _said(*command: str) -> str | None:
    """None where it could not be run."""
    same = os.environ | {"LC_ALL": "C", "TZ": "UTC"}  # or the start would change with summer time
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, env=same)
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
