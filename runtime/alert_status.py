"""``control/alerts.json``: how the mails stand, for the pages and whoever watches. No truth."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import msgspec

from config.paths import DataFolder


class AlertsStatus(msgspec.Struct, frozen=True, kw_only=True):
    """``on`` are the settings that switch mails on; ``sent`` and ``waiting`` count alerts,
    ``mails`` what they went out with, ``off`` what happened and is switched off.

    ``error`` is the last one that there was, and ``failing`` whether it still holds; then nothing
    is tried before ``next_try``. ``fault`` says why alerts cannot be followed at all.
    """

    at: datetime
    on: tuple[str, ...]
    recipients: int
    sent: int
    mails: int
    waiting: int
    off: int
    last_sent: datetime | None
    error: str
    error_at: datetime | None
    failing: bool
    next_try: datetime | None
    fault: str = ""


def read_alerts(folder: DataFolder) -> AlertsStatus | None:
    """None where nothing was told that can be read: a demo, or no main has run yet."""
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(folder.alerts.read_bytes(), type=AlertsStatus)
    return None
