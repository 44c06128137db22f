"""Tries to prove who one is, counted by name and by address: too many, and one has to wait.

Names that nobody has are counted and wait like those of users, so that waiting tells nothing.
"""

from __future__ import annotations

import ipaddress
import math
from datetime import timedelta

from flask import request

from aggregates.users import folded
from web.door import door, people
from web.sessions import Throttle
from web.shared import shared

# Several people may sit behind one address, so it is given more tries than one name.
ADDRESS_FACTOR = 4
LONGEST_NAME = 64  # characters of what was typed as a name
HOME_BITS = 64  # of an IPv6 address: what one connection is given, to number as it likes


def name_of(typed: str) -> str:
    """What was typed as a name, as it is counted, looked up and recorded: one for all spellings."""
    return folded(typed[:LONGEST_NAME])


def begun(name: str) -> timedelta:
    """Count this try before it is looked at; how long to wait instead, if at all."""
    by_name, by_address = _keys(name)
    settings = people().settings
    throttle = Throttle(
        settings.LOGIN_ATTEMPT_LIMIT, timedelta(minutes=settings.LOGIN_LOCKOUT_MINUTES)
    )
    wide = throttle._replace(attempts=throttle.attempts * ADDRESS_FACTOR)
    counts = {by_name: throttle, by_address: wide}
    return door().sessions().attempt(counts, shared().clock.now())


def right(name: str, *, whole: bool) -> None:
    """The try was right. Only a whole sign-in forgets the wrong ones before it."""
    by_name, by_address = _keys(name)
    sessions = door().sessions()
    sessions.uncount(by_address)
    if whole:
        sessions.forget(by_name)
    else:
        sessions.uncount(by_name)


def wait(name: str) -> timedelta:
    """How long the next try has to wait."""
    now = shared().clock.now()
    return max(door().sessions().waiting(key, now) for key in _keys(name))


def waits(span: timedelta) -> str:
    minutes = math.ceil(span.total_seconds() / 60)
    return f"After so many wrong tries, the next one waits for {minutes} min."


def _keys(name: str) -> tuple[str, str]:
    return f"name:{folded(name)}", f"address:{_home(request.remote_addr or '')}"


def _home(address: str) -> str:
    """An IPv4 address; of an IPv6 one the network it is free to number itself in."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv4Address):
        return str(known)
    if known.ipv4_mapped:
        return str(known.ipv4_mapped)
    return str(ipaddress.ip_network((known, HOME_BITS), strict=False))
