"""What the risk rules look at for one entry, and its text in the event that records the decision.

The text is exact and whole: from it and the settings in force the context is made again, and with
it every verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Self

import msgspec

from aggregates.errors import DomainError
from config.calendar import SessionHours
from config.settings import Settings
from strategies.indicators import EXACT

NONE = "none"


class RiskInputs(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded with the decision. Times are UTC, money is in the base currency.

    Of the bot: ``entries_blocked`` is why a stop or a kill forbids entries (empty: neither does),
    ``unreachable_since`` since when the broker does not answer, ``open_differences`` how many
    between books and broker are not explained, ``clock_skew`` our clock less the broker's; None of
    the last two means that it is not known. ``behind_history`` is how far our clock is behind the
    newest event.

    Of the account: ``equity`` is its worth now (as in ``size``), ``equity_at_open`` at the
    session's start. ``realized_today`` and ``unrealized_today`` are signed, a loss below 0.
    ``open_exposure`` is the worst case before this entry: the trading positions at their last
    price, and every pending entry as if it filled whole; ``open_positions`` counts both.
    ``trades_today`` counts the session's entries.

    Of the symbol: ``tradable`` is what the broker says (None: it was not told), ``halted`` is None
    where the broker does not tell halts. ``quote_known_at`` is when the quote became known.

    Of the entry: ``price`` is the signal's, ``usual_quantity`` the size without defense mode,
    ``entry_deadline`` the end of the strategy's breakout window.
    """

    entries_blocked: str
    unreachable_since: datetime | None
    open_differences: int | None
    clock_skew: timedelta | None
    behind_history: timedelta
    entry_deadline: datetime
    equity: Decimal
    equity_at_open: Decimal
    realized_today: Decimal
    unrealized_today: Decimal
    open_exposure: Decimal
    open_positions: int
    trades_today: int
    cash_float: Decimal
    tradable: bool | None
    halted: bool | None
    held_long_term: bool
    bid: Decimal | None
    ask: Decimal | None
    quote_known_at: datetime | None
    volume: int | None
    price: Decimal | None
    stop: Decimal | None
    usual_quantity: Decimal
    quantity: Decimal

    def as_text(self) -> dict[str, str]:
        """By field; ``none`` for what was not known."""
        return {name: _text(getattr(self, name)) for name in RiskInputs.__struct_fields__}

    @classmethod
    def read(cls, text: Mapping[str, str]) -> Self:
        """From a recorded decision, whose other inputs are passed over. Raises DomainError."""
        fields = {n: text[n] for n in cls.__struct_fields__ if n in text}
        given = {name: None if value == NONE else value for name, value in fields.items()}
        try:
            return msgspec.convert(given, cls, strict=False)
        except msgspec.ValidationError as e:
            raise DomainError(f"The decision's inputs cannot be read: {e}.") from None


class RiskContext(msgspec.Struct, frozen=True, kw_only=True):
    """All that the rules look at for one entry at ``now`` (UTC): the inputs, and what other events
    hold."""

    settings: Settings
    hours: SessionHours
    strategy: str
    symbol: str
    now: datetime
    inputs: RiskInputs

    @property
    def cost(self) -> Decimal | None:
        """Signal price × quantity, or None without a price."""
        price = self.inputs.price
        return None if price is None else EXACT.multiply(price, self.inputs.quantity)


def _text(value: Decimal | datetime | timedelta | str | int | bool | None) -> str:
    """Exact, and read back as it was."""
    match value:
        case None:
            return NONE
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value, "f")
        case datetime() | timedelta():
            return str(msgspec.to_builtins(value))
        case _:
            return str(value)
