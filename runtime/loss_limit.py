"""The day's loss limit: reached, it ends entries and sets the kill switch off (M12, M14)."""

from __future__ import annotations

from fractions import Fraction

from aggregates.money import divide_half_even, from_scaled
from config.settings import Settings
from runtime.desk import Desk
from strategies.indicators import EXACT

_SHOWN = 10**6  # a share is shown with six decimals


def loss_breached(desk: Desk, settings: Settings) -> str:
    """Why the loss of this day ends trading, in words; empty while it does not.

    Realized and unrealized together, as a fraction of the equity at the session's start. The ledger
    must be caught up. Without equity there is no fraction, and entries are refused anyway.
    """
    if (lost := -desk.result_today()) <= 0:
        return ""
    equity, limit = desk.equity_at_open(), settings.DAILY_LOSS_LIMIT
    if equity <= 0 or lost < EXACT.multiply(limit, equity):
        return ""
    realized, unrealized = desk.realized_today(), desk.unrealized()
    share = Fraction(lost) / Fraction(equity)
    shown = from_scaled(divide_half_even(share.numerator * _SHOWN, share.denominator), _SHOWN)
    return (
        f"the day's loss is {shown:f} of the equity at the open ({equity:f}), and DAILY_LOSS_LIMIT "
        f"is {limit:f}: realized {realized:f}, unrealized {unrealized:f}"
    )
