"""Probe of an address: whether a Ray cluster answers, in seconds instead of Ray's minutes."""

import os
import socket
from contextlib import suppress
from pathlib import Path

CLIENT_PORT = 10001
SECONDS_TO_ANSWER = 5


def last_address() -> str:
    """Where `auto` leads, as far as Ray has noted it: its own search may outlast a dead one."""
    if told := os.environ.get("RAY_ADDRESS"):
        return told
    there = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    with suppress(OSError):
        return (Path(there) / "ray" / "ray_current_cluster").read_text().strip()
    return ""


def silence(address: str) -> str:
    """Why there is no Ray; nothing where something speaks HTTP/2, as gRPC does.

    Ray itself would try for minutes.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        host, port = address.removeprefix("ray://"), str(CLIENT_PORT)
    greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    try:
        with socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_ANSWER) as there:
            there.settimeout(SECONDS_TO_ANSWER)
            there.sendall(greeting)
            settings = there.recv(9)[3:4] == b"\x04"
            return "" if settings else "what answers there is no Ray"
    except (OSError, OverflowError) as error:
        return str(error)
