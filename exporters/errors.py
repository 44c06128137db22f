"""What can keep a file from being written."""

from __future__ import annotations

from aggregates.errors import TradeBotError


class ExportError(TradeBotError):
    """The file would be wrong or cannot be made; nothing was written. The books are unchanged."""
