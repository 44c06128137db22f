"""What the market says: bars of a minute, quotes, options, indices. Prices are exact, times UTC."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

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


class OptionContract(msgspec.Struct, frozen=True, kw_only=True):
    """An option as the broker lists it now. None: the broker does not tell.

    ``symbol`` is the OCC symbol without blanks (SPY260116P00450000); prices are per unit of the
    underlying, of which one contract is about ``multiplier``. ``adjusted``: what it delivers was
    changed by a split or a merger, so it is no longer so many shares of the underlying.
    ``delta`` is the broker's own figure, a put's below 0.
    """

    symbol: str
    underlying: str
    right: Literal["put", "call"]
    strike: Decimal
    expiry: date
    multiplier: int
    adjusted: bool
    bid: Decimal | None
    ask: Decimal | None
    quote_known_at: datetime | None
    open_interest: int | None
    delta: Decimal | None


class IndexLevel(msgspec.Struct, frozen=True, kw_only=True):
    """The level of an index, such as VIX; ``at`` is when it was current."""

    symbol: str
    level: Decimal
    at: datetime
