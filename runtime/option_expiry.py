"""Puts that expire while held, and what must be said of options that are no longer what they were.

A contract that expired for nothing leaves the books as a sale at 0 that was never sent: its whole
cost is a loss, and everything that follows a sale follows. What the broker exercised or changed is
never booked by itself: it could mean shares sold short, and a person must look.
"""

from __future__ import annotations

from decimal import Decimal

from aggregates.base import Command
from aggregates.errors import DomainError
from aggregates.market import OptionContract
from aggregates.occ import OptionTerms, occ_terms
from aggregates.order import Order, order_stream
from aggregates.order_messages import EXPIRED, RecordFill, RecordSubmission
from aggregates.reconciliation import Difference
from brokers.port import Activity, BrokerError, KeysRefused
from projections.ledger_records import Position
from runtime.bootstrap import Bot
from runtime.differences import ACCEPT
from runtime.dry_run import dry_run
from runtime.exits import exit_commands

WORTHLESS = "expired worthless"
_ZERO = Decimal(0)


def expiry_order(reference: str) -> str:
    """The id of the order that stands for an expiry: it follows from the broker's activity."""
    return f"expiry-{reference}"


def book_expiry(bot: Bot, activity: Activity, reference: str) -> bool:
    """Once for each activity; whether it was booked now. Raises DomainError when it cannot be."""
    order_id = expiry_order(reference)
    if _booked(bot, order_id) or _booked(bot, _accepted_order(activity.symbol)):
        return False
    commands = _commands(bot, activity, order_id, _held(bot, activity))
    dry_run(bot.store, bot.folder, *commands)  # what the ledger could not post is not recorded
    bot.dispatch(*commands, command_id=f"activity:{reference}", correlation=order_id)
    return True


def book_accepted_expiry(bot: Bot, difference: Difference, reason: str) -> str:
    """What a person knows to have expired worthless, of a broker that does not tell it; in words.

    Raises DomainError when it cannot be booked.
    """
    symbol, gone = difference.subject, Decimal(difference.amount)
    terms, order_id = occ_terms(symbol), _accepted_order(symbol)
    if terms is None:
        raise DomainError(f"{symbol} is no OCC symbol, so its last day is not known")
    told = Activity(
        activity_id=f"accepted-{symbol}", kind="option_expiry", code="accepted", day=terms.expiry,
        symbol=symbol, quantity=gone, net_amount=None, description=reason, cancelled=False,
    )  # fmt: skip
    commands = _commands(bot, told, order_id, _held(bot, told))
    dry_run(bot.store, bot.folder, *commands)
    bot.dispatch(*commands, command_id=f"accepted:{order_id}", correlation=order_id)
    return f"{-gone:f} {symbol} {WORTHLESS} on {terms.expiry}, accepted: {reason}"


def _accepted_order(symbol: str) -> str:
    return expiry_order(f"accepted-{symbol}")


def _booked(bot: Bot, order_id: str) -> bool:
    return bot.store.load(Order, order_stream(order_id)).intent is not None


def _held(bot: Bot, activity: Activity) -> Position:
    """What our books hold of it, which is at least what expired."""
    terms, gone = occ_terms(activity.symbol), -(activity.quantity or _ZERO)
    if terms is None or gone <= 0 or activity.net_amount:
        raise DomainError("an expiry takes contracts of an OCC symbol away, and moves no money")
    if activity.day < terms.expiry:
        raise DomainError(f"{activity.symbol} does not expire before {terms.expiry}")
    bot.views.catch_up()
    for position in bot.views.books.positions():
        if position.symbol == activity.symbol and position.quantity >= gone:
            return position
    raise DomainError(f"our books do not hold {gone:f} of it")


def _commands(bot: Bot, activity: Activity, order_id: str, held: Position) -> list[Command]:
    """Intent, submission and fill at 0: at no time is there anything to send."""
    quantity, at, day = -(activity.quantity or _ZERO), bot.clock.now(), activity.day
    commands = exit_commands(
        bot, order_id=order_id, day=day, at=at, symbol=activity.symbol, quantity=quantity,
        held=held.quantity, reason=WORTHLESS, context=EXPIRED,
        inputs={"quantity": f"{quantity:f}", "activity_id": activity.activity_id},
    )  # fmt: skip
    return [
        *commands,
        RecordSubmission(at=at, effective_date=day, order_id=order_id),
        RecordFill(
            at=at, effective_date=day, order_id=order_id, execution_id=activity.activity_id,
            quantity=quantity, price=_ZERO, currency=bot.settings.CURRENCY_CODE,
            commission=_ZERO, fees=_ZERO, net_amount=_ZERO, settles_on=day,
        ),
    ]  # fmt: skip


class OptionChanges:
    """Of one session: held contracts that the broker changed. Each is looked up once."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._known: dict[str, OptionContract | None] = {}

    def differences(self) -> list[Difference]:
        """Views must be caught up. What cannot be looked up now is looked up next time."""
        found = []
        for position in self._bot.views.books.positions():
            if position.kind == "option" and (terms := occ_terms(position.symbol)):
                contract = self._contract(position.symbol, terms)
                if contract and (contract.adjusted or contract.multiplier != position.multiplier):
                    found.append(_changed(position, contract))
        return found

    def _contract(self, symbol: str, terms: OptionTerms) -> OptionContract | None:
        broker = self._bot.broker
        if symbol not in self._known and broker.capabilities.long_put:
            try:
                chain = broker.option_chain(terms.root, terms.expiry, terms.expiry)
            except KeysRefused:
                raise
            except BrokerError:
                return None
            self._known[symbol] = next((c for c in chain if c.symbol == symbol), None)
        return self._known.get(symbol)


def _changed(held: Position, contract: OptionContract) -> Difference:
    return Difference(
        difference_id=f"option_changed:{held.symbol}",
        kind="option_changed",
        subject=held.symbol,
        ours=f"{held.quantity:f} contracts of {held.multiplier}",
        theirs=f"contracts of {contract.multiplier}{', adjusted' if contract.adjusted else ''}",
        amount=f"{contract.multiplier}{' adjusted' if contract.adjusted else ''}",
        known="the broker lists it with another multiplier or as adjusted: a split or a merger of "
        "the underlying changed what it delivers, and its price no longer means what it did",
        to_do=f"sell it at the broker and book the result, {ACCEPT}",
    )
