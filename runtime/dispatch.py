"""Commands to events: one visible table, one batch for each command id."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

from aggregates import books, capital, chart_of_accounts, configuration
from aggregates import instrument as instruments
from aggregates import order_messages as orders
from aggregates import session as sessions
from aggregates.base import Aggregate, Command, check
from aggregates.errors import DomainError
from aggregates.order import Order, order_stream
from config.failpoints import reach
from eventstore.application import A, Store
from eventstore.codec import command_content
from eventstore.envelope import CommandContext
from eventstore.errors import ConcurrentChange
from eventstore.recorder import CommandRepeated


class UnitOfWork:
    """The aggregates that one batch of commands touches, each loaded once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.touched: dict[str, Aggregate] = {}

    def load(self, kind: type[A], stream: str) -> A:
        found = self.touched.get(stream)
        if not isinstance(found, kind):
            found = self.touched[stream] = self._store.load(kind, stream)
        return found


Handler = Callable[[UnitOfWork, Any], None]


def on(kind: type[A], stream: Callable[[Any], str], decide: Callable[[A, Any], None]) -> Handler:
    """Load the aggregate of the command's stream and let it decide."""

    def handle(work: UnitOfWork, command: Any) -> None:
        decide(work.load(kind, stream(command)), command)

    return handle


def _order(decide: Callable[[Order, Any], None]) -> Handler:
    return on(Order, lambda c: order_stream(c.order_id), decide)


def _session(decide: Callable[[sessions.Session, Any], None]) -> Handler:
    # a session is named by its label: the effective date of all that happens in it
    return on(
        sessions.Session, lambda c: sessions.session_stream(c.effective_date.isoformat()), decide
    )


def _capital(decide: Callable[[capital.CapitalEntry, Any], None]) -> Handler:
    return on(capital.CapitalEntry, lambda c: capital.capital_stream(c.reference), decide)


def _books(decide: Callable[[books.Books, Any], None]) -> Handler:
    return on(books.Books, lambda _: books.STREAM, decide)


def _instrument(decide: Callable[[instruments.Instrument, Any], None]) -> Handler:
    return on(
        instruments.Instrument, lambda c: instruments.instrument_stream(c.instrument_id), decide
    )


def _register(work: UnitOfWork, c: instruments.RegisterInstrument) -> None:
    stream = instruments.instrument_stream(instruments.instrument_id(c.exchange, c.symbol))
    work.load(instruments.Instrument, stream).register(c)


HANDLERS: dict[type[Command], Handler] = {
    books.OpenBooks: _books(books.Books.open),
    books.AdoptRules: _books(books.Books.adopt_rules),
    books.ClosePeriod: _books(books.Books.close_period),
    books.ReverseEntry: _books(books.Books.reverse),
    chart_of_accounts.AdoptChart: on(
        chart_of_accounts.ChartOfAccounts,
        lambda _: chart_of_accounts.STREAM,
        chart_of_accounts.ChartOfAccounts.adopt,
    ),
    configuration.AdoptSettings: on(
        configuration.Configuration,
        lambda _: configuration.STREAM,
        configuration.Configuration.adopt,
    ),
    instruments.RegisterInstrument: _register,
    instruments.RenameInstrument: _instrument(instruments.Instrument.rename),
    instruments.RecordSplit: _instrument(instruments.Instrument.split),
    capital.RecordDeposit: _capital(capital.CapitalEntry.deposit),
    capital.RecordWithdrawal: _capital(capital.CapitalEntry.withdraw),
    capital.RecordDividend: _capital(capital.CapitalEntry.dividend),
    capital.RecordInterest: _capital(capital.CapitalEntry.interest),
    capital.RecordFee: _capital(capital.CapitalEntry.fee),
    capital.RecordMarginInterest: _capital(capital.CapitalEntry.margin_interest),
    capital.Earmark: _capital(capital.CapitalEntry.earmark),
    sessions.OpenSession: _session(sessions.Session.open),
    sessions.StartPhase: _session(sessions.Session.start_phase),
    sessions.EndPhase: _session(sessions.Session.end_phase),
    sessions.Decide: _session(sessions.Session.decide),
    sessions.MarkPrices: _session(sessions.Session.mark_prices),
    sessions.RecordReconciliation: _session(sessions.Session.reconcile),
    sessions.CloseSession: _session(sessions.Session.close),
    orders.IntendOrder: _order(Order.intend),
    orders.RecordSubmission: _order(Order.record_submission),
    orders.RecordAcceptance: _order(Order.record_acceptance),
    orders.RecordFill: _order(Order.record_fill),
    orders.RequestCancel: _order(Order.request_cancel),
    orders.RecordCancellation: _order(Order.record_cancellation),
    orders.RecordRejection: _order(Order.record_rejection),
    orders.RecordExpiry: _order(Order.record_expiry),
    orders.RecordUnknownOutcome: _order(Order.record_unknown_outcome),
}


MOVES_MONEY = (
    orders.RecordFill,
    capital.RecordDeposit,
    capital.RecordWithdrawal,
    capital.RecordDividend,
    capital.RecordInterest,
    capital.RecordFee,
    capital.RecordMarginInterest,
    capital.Earmark,
)


class Recorded(NamedTuple):
    """Positions that the command led to; ``repeated`` when it had been carried out before."""

    positions: list[int]
    repeated: bool


class Dispatcher:
    """Carries commands out against one store on behalf of one actor."""

    def __init__(self, store: Store, actor: str) -> None:
        self.store = store
        self.actor = actor
        self._currency = ""

    def __call__(
        self, *commands: Command, command_id: str, correlation: str = "", causation: str = ""
    ) -> Recorded:
        """Decide all commands and record their events in one transaction.

        ``correlation`` names the thread that they belong to, ``causation`` the command id that
        brought them about.

        The same id with the same content gives the first result again, also when another process
        carries it out at this moment; when others change the same streams meanwhile, it is decided
        anew. Raises CommandConflict for other content, DomainError when a rule forbids it,
        ClockBehind, StoreUnreadable (locked for longer than the busy timeout among others), and
        ConcurrentChange when the store refuses the rows for another reason.
        """
        context = CommandContext(
            command_id=command_id,
            command_digest=_digest(commands),
            actor=self.actor,
            correlation_id=correlation,
            causation_id=causation,
            opens_exposure=any(_opens_exposure(c) for c in commands),
        )
        if first := self.store.chain.positions_of(context):
            return Recorded(first, repeated=True)
        reach("dispatch.looked_up")
        try:
            return self._decide(commands, context)
        except CommandRepeated as repeated:
            return Recorded(repeated.positions, repeated=True)
        except DomainError:
            # "already there" may be this very command, carried out since it was looked up
            if first := self.store.chain.positions_of(context):
                return Recorded(first, repeated=True)
            raise

    def _decide(self, commands: tuple[Command, ...], context: CommandContext) -> Recorded:
        """Beside other writers; when one was first, once more while nobody else can write."""
        try:
            return self._carry_out(commands, context)
        except ConcurrentChange:
            with self.store.alone() as writing:
                return self._carry_out(commands, context, writing)

    def _carry_out(
        self, commands: tuple[Command, ...], context: CommandContext, writing: Any = None
    ) -> Recorded:
        work = UnitOfWork(self.store)
        for command in commands:
            self._check_currency(command)
            HANDLERS[type(command)](work, command)
        reach("dispatch.decided")
        positions = self.store.record(context, *work.touched.values(), writing=writing)
        return Recorded(positions, repeated=False)

    def _check_currency(self, command: Command) -> None:
        """What moves money must be in the books' currency: the ledger could not post it."""
        currency = getattr(command, "currency", None)
        if not isinstance(command, MOVES_MONEY) or currency is None:
            return
        self._currency = self._currency or self.store.load(books.Books, books.STREAM).currency
        check(
            not self._currency or currency == self._currency,
            f"The books are kept in {self._currency}; an amount in {currency} cannot be posted. "
            "Nothing was recorded; convert it first.",
        )


def _digest(commands: tuple[Command, ...]) -> bytes:
    return hashlib.sha256(b"\n".join(map(command_content, commands))).digest()


def _opens_exposure(command: Command) -> bool:
    """Entries: refused while the clock is behind the store. Exits and reports always pass."""
    return isinstance(command, orders.IntendOrder) and command.side == "buy"
