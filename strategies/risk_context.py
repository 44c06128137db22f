"""What the risk rules look at for one entry, and its text in the event that records the decision.

The text is exact and whole: from it and the settings in force the context is made again, and with
it every verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Self

import msgspec

from aggregates.errors import DomainError
from config.calendar import SessionHours
from config.settings import Settings
from strategies.indicators import EXACT

NONE = "none"
_Value = Decimal | datetime | timedelta | str | int | bool | None


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

    Of a bearish entry: ``instrument`` is what would be bought in the symbol's place (empty: the
    symbol itself), ``multiplier`` how many units of price one unit of quantity costs. Quote, price
    and stop are the instrument's then.

    ``vix`` is the index for the strategy that has a gate by it, None when it is not known.
    ``defense`` says that defense mode was switched on by hand, ``blocked`` why the symbol is
    blocked by hand; empty: it is not.

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
    instrument: str = ""
    multiplier: int = 1
    vix: Decimal | None = None
    defense: bool = False
    blocked: str = ""

    def as_text(self) -> dict[str, str]:
        """By field; ``none`` for what was not known. What most entries have nothing to say about
        (a field with a default) is left out of theirs."""
        return {name: _text(value) for name, value in self._told()}

    def _told(self) -> Iterator[tuple[str, _Value]]:
        for name in RiskInputs.__struct_fields__:
            value = getattr(self, name)
            if name not in _USUAL or value != _USUAL[name]:
                yield name, value

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
    def defense(self) -> bool:
        """Defense mode, by setting or by hand."""
        return self.settings.DEFENSE_MODE_ACTIVE or self.inputs.defense

    @property
    def cost(self) -> Decimal | None:
        """Price × quantity × multiplier, or None without a price."""
        price, i = self.inputs.price, self.inputs
        if price is None:
            return None
        return EXACT.multiply(EXACT.multiply(price, i.quantity), Decimal(i.multiplier))


_USUAL: dict[str, _Value] = {
    field.name: field.default
    for field in msgspec.structs.fields(RiskInputs)
    if field.default is not msgspec.NODEFAULT
}


def _text(value: _Value) -> str:
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
