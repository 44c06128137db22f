"""Which hosts are this machine alone: asked by the rules of the settings and by what serves."""

from __future__ import annotations

import ipaddress

NAMES = ("127.0.0.1", "localhost", "::1")  # under which it is usually asked for


def is_this_machine(host: str) -> bool:
    """Whether nobody else is reached, or can ask, at this address (RFC 6890: 127/8 and ::1)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
