"""Dividends, taxes, interest, fees and transfers of the broker, booked once each (M06).

Each is a movement of capital whose reference is the broker's own id, so it cannot be booked twice.
What is of another form, or could mean two things, is not booked: it becomes an open difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from aggregates.base import Command
from aggregates.books import STREAM as BOOKS
from aggregates.books import Books
from aggregates.capital import (
    CapitalEntry,
    RecordDeposit,
    RecordDividend,
    RecordFee,
    RecordInterest,
    RecordMarginInterest,
    RecordWithdrawal,
    RecordWithholding,
    capital_stream,
)
from aggregates.errors import DomainError
from aggregates.order import order_stream
from aggregates.reconciliation import Difference
from brokers.port import Activity
from runtime.bootstrap import Bot
from runtime.corrections import reverse_entry
from runtime.differences import EXERCISED, unknown_activity
from runtime.option_expiry import WORTHLESS, book_expiry, expiry_order

RESERVES = ("tax_reserve", "payroll_reserve", "reinvestment_pool")
_OTHER_FORM = "this bot does not know how to book it"


class Activities:
    """Books activities. ``repaired`` says in words what was booked, ``open`` what was not."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self.repaired: list[str] = []
        self.open: list[Difference] = []
        self.actions: list[Activity] = []  # corporate actions and exercises: units may differ

    def book(self, activities: Sequence[Activity]) -> None:
        """In order of their day. Nothing that was booked before is booked again."""
        for activity in activities:
            if activity.cancelled:
                self._take_back(activity)
            elif activity.kind == "corporate_action" and not activity.net_amount:
                self.actions.append(activity)
            elif activity.kind == "option_expiry":
                self._expire(activity)
            elif activity.kind == "option_exercise":
                self.actions.append(activity)
                self.open.append(unknown_activity(activity, EXERCISED))
            elif activity.net_amount or activity.quantity:
                self._book(activity)

    def reference(self, activity: Activity) -> str:
        return f"{self._bot.broker.capabilities.name}:{activity.activity_id}"

    def _book(self, activity: Activity) -> None:
        reference = self.reference(activity)
        if self._bot.store.load(CapitalEntry, capital_stream(reference)).version:
            return
        try:
            command, why = self._command(activity)
            if command is not None:
                self._bot.dispatch(command, command_id=f"activity:{reference}")
        except DomainError as e:
            command, why = None, str(e)
        if command is None:
            self.open.append(unknown_activity(activity, why))
        else:
            self.repaired.append(f"booked {activity.kind} {activity.net_amount} {reference}")

    def _expire(self, activity: Activity) -> None:
        """An option that went away for nothing; what our books do not hold stays open."""
        try:
            booked = book_expiry(self._bot, activity, self.reference(activity))
        except DomainError as e:
            self.open.append(unknown_activity(activity, str(e)))
            return
        if booked:
            gone = -(activity.quantity or Decimal(0))
            self.repaired.append(f"{gone:f} {activity.symbol} {WORTHLESS} on {activity.day}")

    def _command(self, activity: Activity) -> tuple[Command | None, str]:
        """What books it, or why nothing does."""
        net = activity.net_amount or Decimal(0)
        own: dict[str, Any] = {
            "at": self._bot.clock.now(),
            "effective_date": activity.day,
            "reference": self.reference(activity),
            "currency": self._bot.settings.CURRENCY_CODE,
            "amount": abs(net),
            "reason": f"{activity.code} {activity.symbol} {activity.description}".strip(),
        }
        match activity.kind, net > 0:
            case ("interest", True):
                return RecordInterest(**own), ""
            case ("interest", False) if net:
                return RecordMarginInterest(**own), ""
            case ("fee", False) if net:
                return RecordFee(**own), ""
            case ("dividend", True):
                return RecordDividend(**own, symbol=activity.symbol), ""
            case ("withholding", False) if net:
                return RecordWithholding(**own, symbol=activity.symbol), ""
            case ("transfer", True) if not activity.quantity:
                return RecordDeposit(**own), ""
            case ("transfer", False) if net and not activity.quantity:
                return self._withdrawal(own)
        return None, _OTHER_FORM

    def _withdrawal(self, own: dict[str, Any]) -> tuple[Command | None, str]:
        """The owner's draw from the float, unless a reserve may have been what was paid out."""
        books = self._bot.views.books
        mapping = books.chart().mapping
        if any(books.balance_of(mapping[role]) for role in RESERVES):
            return None, "there are reserves, and nobody has said which purse was paid out"
        return RecordWithdrawal(**own), ""

    def _take_back(self, activity: Activity) -> None:
        """The broker cancelled it: an entry that was posted is reversed, others never come."""
        reference = self.reference(activity)
        expiry = activity.kind == "option_expiry"
        stream = order_stream(expiry_order(reference)) if expiry else capital_stream(reference)
        rows = self._bot.views.feed.stream(stream)
        if not rows or rows[-1].position in self._bot.store.load(Books, BOOKS).reversed:
            return
        reverse_entry(self._bot, rows[-1].position, f"{activity.code} was cancelled by the broker")
        self.repaired.append(f"reversed {activity.kind} {self.reference(activity)}")
