"""What the market says: one-minute bars and quotes. Prices are exact, times are UTC."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

MINUTE = timedelta(minutes=1)


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """Trades of one minute. ``start`` is the UTC instant at which the minute starts."""

    symbol: str
    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int

    @property
    def end(self) -> datetime:
        """When the bar is complete and may be known."""
        return self.start + MINUTE


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """The last bid and ask of the minute that starts at ``start``; known at ``end``."""

    symbol: str
    start: datetime
    bid: Decimal
    bid_size: int
    ask: Decimal
    ask_size: int

    @property
    def end(self) -> datetime:
        return self.start + MINUTE

    @property
    def spread(self) -> Decimal:
        return self.ask - self.bid
