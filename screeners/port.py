"""The port: what is asked of whoever knows the market as a whole. Values, errors, the protocol.

A value that was not told is None and stays so: nothing here is ever filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

import msgspec

from aggregates.errors import TradeBotError

Wait = Callable[[datetime], object]
"""Returns when the moment has come. Raises what ends the work: a kill that was asked for."""


class ScreenerError(TradeBotError):
    """The screener gave no answer that could be used. Nothing was changed; what it told is kept."""


class ScreenerKeyRefused(ScreenerError):
    """It does not accept the key: asking again helps nothing."""


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one security. Prices and ``market_cap`` in ``currency``, counts in shares.

    ``at`` is when ``price`` was (UTC); ``opening`` is the open and ``previous_close`` the close
    before it, both of the session of ``at``; ``volume`` is the usual one of a whole day.
    """

    symbol: str
    exchange: str | None = None
    currency: str | None = None
    market_cap: Decimal | None = None
    shares_outstanding: Decimal | None = None
    share_float: Decimal | None = None
    volume: Decimal | None = None
    price: Decimal | None = None
    opening: Decimal | None = None
    previous_close: Decimal | None = None
    at: datetime | None = None

    @property
    def dollar_volume(self) -> Decimal | None:
        """What is usually traded in a day, in ``currency``."""
        if self.price is None or self.volume is None:
            return None
        return self.price * self.volume


class Screener(Protocol):
    """Whoever may be asked. Each answer is on disk before the next question goes out: asked again
    with the same ``since`` after a crash, what was told is not asked anew.

    ``since``: an answer that is older does not serve. All raise ScreenerError.
    """

    @property
    def name(self) -> str:
        """As SCREENER_NAME has it."""

    @property
    def rebuilds(self) -> bool:
        """Whether a universe is made of it after the close; False: it is complete at any time."""

    def wanted(self) -> Sequence[str] | None:
        """Symbols that are wanted whatever their facts, A to Z; None: they are to be screened."""

    def listing(self, exchanges: Iterable[str], since: datetime, wait: Wait) -> Sequence[Facts]:
        """Every security of these exchanges (ISO 10383), by symbol."""

    def profile(self, facts: Facts, now: datetime, wait: Wait) -> Facts:
        """With market capitalisation and shares; known for a while, so an older answer serves."""

    def usual_volume(self, facts: Facts, now: datetime, wait: Wait) -> Facts:
        """With the volume of a usual day; known for a while, likewise."""

    def quote(self, facts: Facts, since: datetime, wait: Wait) -> Facts:
        """With the newest price, the open and the close before."""

    def close(self) -> None:
        """End every connection."""
