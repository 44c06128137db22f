"""Commands to events: one visible table, one batch for each command id."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aggregates import (
    blocklist,
    books,
    capital,
    chart_edits,
    chart_of_accounts,
    configuration,
    control,
    holdings,
    holdings_plan,
    holdings_requests,
    inverse_etfs,
    keys,
    reconciliation,
    screen,
    users,
)
from aggregates import instrument as instruments
from aggregates import order_messages as orders
from aggregates import session as sessions
from aggregates import user_activity as activity
from aggregates.base import Aggregate, Command, check
from aggregates.errors import DomainError
from aggregates.order import Order, order_stream
from config.failpoints import reach
from eventstore.application import A, Store
from eventstore.codec import command_content
from eventstore.envelope import CommandContext
from eventstore.errors import ConcurrentChange
from eventstore.recorder import CommandRepeated
from runtime.recent import Recent
from security.data_keys import PLAIN, DataKey


class BooksMoved(DomainError):
    """Something was recorded since the books were looked at; nothing was changed. Look again."""


Kept = Callable[[], Aggregate]


class UnitOfWork:
    """The aggregates that one batch of commands touches, each loaded once.

    ``alone``: nobody else can write before the batch is recorded.
    """

    def __init__(
        self,
        store: Store,
        *,
        alone: bool = False,
        kept: Mapping[str, Kept] | None = None,
        recent: Recent | None = None,
    ) -> None:
        self._store = store
        self._kept = kept or {}
        self._recent = recent or Recent()
        self._alone = alone
        self.touched: dict[str, Aggregate] = {}

    def head(self) -> int:
        """Position of the newest event."""
        return self._store.head().position

    def check_head(self, position: int) -> None:
        """Nothing was recorded after ``position``, and nothing will be before this batch."""
        if not self._alone:
            # not decided beside other writers: the dispatcher tries again while there are none
            raise ConcurrentChange("The books must not move meanwhile; nothing was recorded.")
        head = self.head()
        if head != position:
            raise BooksMoved(
                f"Event {head} was recorded since the books were looked at (event {position}). "
                "Nothing was changed; try again."
            )

    def load(self, kind: type[A], stream: str) -> A:
        found = self.touched.get(stream)
        if not isinstance(found, kind):
            kept = self._kept[stream]() if stream in self._kept else None
            if not isinstance(kept, kind):
                kept = self._recent.take(self._store, kind, stream)
            found = kept or self._store.load(kind, stream)
            self.touched[stream] = found
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


def _settings(decide: Callable[[configuration.Configuration, Any], None]) -> Handler:
    return on(configuration.Configuration, lambda _: configuration.STREAM, decide)


def _control(decide: Callable[[control.Control, Any], None]) -> Handler:
    return on(control.Control, lambda _: control.STREAM, decide)


def _reconciliation(decide: Callable[[reconciliation.Reconciliation, Any], None]) -> Handler:
    return on(reconciliation.Reconciliation, lambda _: reconciliation.STREAM, decide)


def _users(decide: Callable[[users.Users, Any], None]) -> Handler:
    return on(users.Users, lambda _: users.STREAM, decide)


def _activity(decide: Callable[[activity.UserActivity, Any], None]) -> Handler:
    return on(activity.UserActivity, activity.door_stream, decide)


def _keys(decide: Callable[[keys.Keys, Any], None]) -> Handler:
    return on(keys.Keys, lambda _: keys.STREAM, decide)


def _holdings_day(decide: Callable[[holdings.HoldingsDay, Any], None]) -> Handler:
    return on(holdings.HoldingsDay, lambda c: holdings.day_stream(c.effective_date), decide)


def _request(decide: Callable[[holdings_requests.HoldingsRequests, Any], None]) -> Handler:
    return on(holdings_requests.HoldingsRequests, lambda _: holdings_requests.STREAM, decide)


def _plan(decide: Callable[[holdings_plan.HoldingsPlan, Any], None]) -> Handler:
    return on(holdings_plan.HoldingsPlan, lambda _: holdings_plan.STREAM, decide)


def _inverse_etfs(decide: Callable[[inverse_etfs.InverseEtfs, Any], None]) -> Handler:
    return on(inverse_etfs.InverseEtfs, lambda _: inverse_etfs.STREAM, decide)


def _blocklist(decide: Callable[[blocklist.Blocklist, Any], None]) -> Handler:
    return on(blocklist.Blocklist, lambda _: blocklist.STREAM, decide)


def _screen(decide: Callable[[screen.ScreenDay, Any], None]) -> Handler:
    return on(screen.ScreenDay, lambda c: screen.screen_stream(c.effective_date), decide)


def _instrument(decide: Callable[[instruments.Instrument, Any], None]) -> Handler:
    return on(
        instruments.Instrument, lambda c: instruments.instrument_stream(c.instrument_id), decide
    )


def _reverse(work: UnitOfWork, c: books.ReverseEntry) -> None:
    """Units must not come back to an account where no sale looks for them any more: the ledger
    could not post the next one."""
    chart = work.load(chart_of_accounts.ChartOfAccounts, chart_of_accounts.STREAM).chart
    head = work.head()
    kept = (m for m in c.movements if m.position <= head and m.position != c.reversed_position)
    left = {m.pool: units for m, units in books.running_units(kept) if m.pool}
    in_use = {chart.mapping[role] for role in chart_of_accounts.SECURITY_ROLES} if chart else set()
    for pool, units in left.items():
        account = pool.partition(".")[0]
        check(
            not units or account in in_use,
            f"Without event {c.reversed_position} there would be units in {pool}, and nothing "
            f"posts to {account} any more. Nothing was reversed; map the role back to {account} "
            "first.",
        )
    work.load(books.Books, books.STREAM).reverse(c)


def _chart_edit(work: UnitOfWork, c: chart_of_accounts.ChartEdit) -> None:
    if isinstance(c, chart_edits.BooksEdit):
        work.check_head(c.books_at)
    work.load(chart_of_accounts.ChartOfAccounts, chart_of_accounts.STREAM).edit(c)


def _intend(work: UnitOfWork, c: orders.IntendOrder) -> None:
    """Trading buys nothing while entries are blocked or books and broker differ, and sends nothing
    at all after a kill. What is booked after the fact is no order to send. Of an instrument that is
    not registered no fill could be posted."""
    stream = instruments.instrument_stream(c.instrument_id)
    work.load(instruments.Instrument, stream).check_registered(c.instrument_id)
    if c.sleeve == "trading" and c.context not in orders.NEVER_SENT:
        now = work.load(control.Control, control.STREAM)
        blocked = now.entries_blocked if c.side == "buy" or now.killed else ""
        if c.side == "buy" and not blocked:
            suspense = work.load(reconciliation.Reconciliation, reconciliation.STREAM)
            blocked = suspense.entries_blocked
        check(not blocked, f"Order {c.order_id} was not intended: {blocked}.")
    work.load(Order, order_stream(c.order_id)).intend(c)


def _register(work: UnitOfWork, c: instruments.RegisterInstrument) -> None:
    stream = instruments.instrument_stream(instruments.instrument_id(c.exchange, c.symbol))
    work.load(instruments.Instrument, stream).register(c)


HANDLERS: dict[type[Command], Handler] = {
    books.OpenBooks: _books(books.Books.open),
    books.AdoptRules: _books(books.Books.adopt_rules),
    books.ClosePeriod: _books(books.Books.close_period),
    books.ReverseEntry: _reverse,
    books.ExpectBooks: lambda work, c: work.check_head(c.position),
    chart_of_accounts.AdoptChart: on(
        chart_of_accounts.ChartOfAccounts,
        lambda _: chart_of_accounts.STREAM,
        chart_of_accounts.ChartOfAccounts.adopt,
    ),
    **dict.fromkeys(chart_edits.EDITS, _chart_edit),
    configuration.AdoptSettings: _settings(configuration.Configuration.adopt),
    configuration.ChangeSettings: _settings(configuration.Configuration.change),
    keys.RecordRotation: _keys(keys.Keys.rotate),
    keys.IntroduceSigner: _keys(keys.Keys.introduce_signer),
    keys.RenewKeys: _keys(keys.Keys.renew),
    control.RequestControl: _control(control.Control.request),
    control.AnswerControl: _control(control.Control.answer),
    control.StartKill: _control(control.Control.start_kill),
    control.RecordKillStep: _control(control.Control.record_step),
    control.LatchKill: _control(control.Control.latch),
    control.ResetKill: _control(control.Control.reset),
    control.SwitchDefense: _control(control.Control.switch_defense),
    reconciliation.RecordDifferences: _reconciliation(
        reconciliation.Reconciliation.record_differences
    ),
    reconciliation.RecordNotKnown: _reconciliation(reconciliation.Reconciliation.record_not_known),
    reconciliation.AcceptDifference: _reconciliation(reconciliation.Reconciliation.accept),
    reconciliation.RecordComparison: on(
        reconciliation.ComparisonsOfDay,
        lambda c: reconciliation.comparisons_stream(c.effective_date.isoformat()),
        reconciliation.ComparisonsOfDay.record_comparison,
    ),
    holdings.AllocateGains: on(
        holdings.Holdings, lambda _: holdings.STREAM, holdings.Holdings.allocate
    ),
    holdings.IntendBatch: _holdings_day(holdings.HoldingsDay.intend_batch),
    holdings.RecordStep: _holdings_day(holdings.HoldingsDay.record_step),
    holdings_plan.SavePlan: _plan(holdings_plan.HoldingsPlan.save),
    holdings_plan.RollBackPlan: _plan(holdings_plan.HoldingsPlan.roll_back),
    holdings_requests.RequestHoldings: _request(holdings_requests.HoldingsRequests.request),
    holdings_requests.StartRequest: _request(holdings_requests.HoldingsRequests.start),
    holdings_requests.RecordRebalance: _request(holdings_requests.HoldingsRequests.complete),
    holdings_requests.AnswerHoldings: _request(holdings_requests.HoldingsRequests.answer),
    instruments.RegisterInstrument: _register,
    instruments.RenameInstrument: _instrument(instruments.Instrument.rename),
    instruments.RecordSplit: _instrument(instruments.Instrument.split),
    inverse_etfs.MapInverseEtf: _inverse_etfs(inverse_etfs.InverseEtfs.map),
    inverse_etfs.UnmapInverseEtf: _inverse_etfs(inverse_etfs.InverseEtfs.unmap),
    blocklist.BlockSymbol: _blocklist(blocklist.Blocklist.block),
    blocklist.UnblockSymbol: _blocklist(blocklist.Blocklist.unblock),
    screen.RecordUniverse: _screen(screen.ScreenDay.rebuild_universe),
    screen.RecordUniverseKept: _screen(screen.ScreenDay.keep_universe),
    screen.RecordCandidates: _screen(screen.ScreenDay.choose_candidates),
    capital.RecordDeposit: _capital(capital.CapitalEntry.deposit),
    capital.RecordWithdrawal: _capital(capital.CapitalEntry.withdraw),
    capital.RecordDividend: _capital(capital.CapitalEntry.dividend),
    capital.RecordWithholding: _capital(capital.CapitalEntry.withholding),
    capital.RecordInterest: _capital(capital.CapitalEntry.interest),
    capital.RecordFee: _capital(capital.CapitalEntry.fee),
    capital.RecordMarginInterest: _capital(capital.CapitalEntry.margin_interest),
    capital.RecordRounding: _capital(capital.CapitalEntry.rounding),
    capital.Earmark: _capital(capital.CapitalEntry.earmark),
    capital.ReleaseReserve: _capital(capital.CapitalEntry.release),
    sessions.OpenSession: _session(sessions.Session.open),
    sessions.StartPhase: _session(sessions.Session.start_phase),
    sessions.EndPhase: _session(sessions.Session.end_phase),
    sessions.Decide: _session(sessions.Session.decide),
    sessions.MarkPrices: _session(sessions.Session.mark_prices),
    sessions.RecordReconciliation: _session(sessions.Session.reconcile),
    sessions.CloseSession: _session(sessions.Session.close),
    orders.IntendOrder: _intend,
    orders.RecordSubmission: _order(Order.record_submission),
    orders.RecordAcceptance: _order(Order.record_acceptance),
    orders.RecordFill: _order(Order.record_fill),
    orders.RequestCancel: _order(Order.request_cancel),
    orders.RecordCancellation: _order(Order.record_cancellation),
    orders.RecordRejection: _order(Order.record_rejection),
    orders.RecordExpiry: _order(Order.record_expiry),
    orders.RecordUnknownOutcome: _order(Order.record_unknown_outcome),
    users.RegisterUser: _users(users.Users.register),
    users.ChangeRole: _users(users.Users.change_role),
    users.DeactivateUser: _users(users.Users.deactivate),
    users.ReactivateUser: _users(users.Users.reactivate),
    users.ChangePassword: _users(users.Users.change_password),
    users.EnrolSecondFactor: _users(users.Users.enrol),
    users.RemoveSecondFactor: _users(users.Users.remove_factor),
    users.UseRecoveryCode: _users(users.Users.use_recovery_code),
    users.SignOutEverywhere: _users(users.Users.sign_out_everywhere),
    activity.RecordSignIn: _activity(activity.UserActivity.sign_in),
    activity.RecordFailedSignIn: _activity(activity.UserActivity.fail),
    activity.RecordSignOut: _activity(activity.UserActivity.sign_out),
    activity.RecordDenial: _activity(activity.UserActivity.deny),
    activity.RecordResetLink: _activity(activity.UserActivity.make_link),
}


MOVES_MONEY = (
    orders.RecordFill,
    capital.RecordDeposit,
    capital.RecordWithdrawal,
    capital.RecordDividend,
    capital.RecordWithholding,
    capital.RecordInterest,
    capital.RecordFee,
    capital.RecordMarginInterest,
    capital.RecordRounding,
    capital.Earmark,
    capital.ReleaseReserve,
)


# What the vault guards: where there is one, these are recorded with a rotation or not at all (M26).
ROTATES = (
    configuration.AdoptSettings,
    configuration.ChangeSettings,
    chart_of_accounts.AdoptChart,
    chart_of_accounts.ChartEdit,
    holdings_plan.SavePlan,
    holdings_plan.RollBackPlan,
    users.RegisterUser,
    users.ChangeRole,
    users.DeactivateUser,
    users.ReactivateUser,
    users.ChangePassword,
    users.EnrolSecondFactor,
    users.RemoveSecondFactor,
    users.UseRecoveryCode,
    keys.IntroduceSigner,
    keys.RenewKeys,
    keys.RecordRotation,
)


class Recorded(NamedTuple):
    """Positions that the command led to; ``repeated`` when it had been carried out before."""

    positions: list[int]
    repeated: bool


class Dispatcher:
    """Carries commands out against one store on behalf of one actor."""

    def __init__(self, store: Store, actor: str, kept: Mapping[str, Kept] | None = None) -> None:
        """``kept`` gives, by stream, aggregates that somebody keeps up to date: a long one need
        not be loaded anew. Each call gives one that may be changed."""
        self.store = store
        self.actor = actor
        self._kept = kept
        self._recent = Recent()
        self._currency = ""

    def __call__(
        self,
        *commands: Command,
        command_id: str,
        correlation: str = "",
        causation: str = "",
        under: tuple[int, DataKey] | None = None,
    ) -> Recorded:
        """Decide all commands and record their events in one transaction.

        ``correlation`` names the thread that they belong to, ``causation`` the command id that
        brought them about. ``under`` is given by a rotation alone (runtime.custody): the key epoch
        that this batch begins.

        The same id with the same content gives the first result again, also when another process
        carries it out at this moment; when others change the same streams meanwhile, it is decided
        anew. Raises CommandConflict for other content, DomainError when a rule forbids it,
        ClockBehind, StoreUnreadable (locked for longer than the busy timeout among others), and
        ConcurrentChange when the store refuses the rows for another reason.
        """
        context = self._context(commands, command_id, correlation, causation)
        if first := self.store.chain.positions_of(context):
            return Recorded(first, repeated=True)
        reach("dispatch.looked_up")
        try:
            return self._decide(commands, context, under)
        except CommandRepeated as repeated:
            return Recorded(repeated.positions, repeated=True)
        except DomainError:
            # "already there" may be this very command, carried out since it was looked up
            if first := self.store.chain.positions_of(context):
                return Recorded(first, repeated=True)
            raise

    def carried_out(self, *commands: Command, command_id: str) -> Recorded | None:
        """The first result of a command that was carried out before. Raises CommandConflict."""
        first = self.store.chain.positions_of(self._context(commands, command_id))
        return Recorded(first, repeated=True) if first else None

    def _context(
        self,
        commands: tuple[Command, ...],
        command_id: str,
        correlation: str = "",
        causation: str = "",
    ) -> CommandContext:
        return CommandContext(
            command_id=command_id,
            command_digest=_digest(commands),
            actor=self.actor,
            correlation_id=correlation,
            causation_id=causation,
            opens_exposure=any(_opens_exposure(c) for c in commands),
        )

    def _decide(
        self,
        commands: tuple[Command, ...],
        context: CommandContext,
        under: tuple[int, DataKey] | None,
    ) -> Recorded:
        """Beside other writers; when one was first, once more while nobody else can write."""
        try:
            positions, work = self._carry_out(commands, context, under)
        except ConcurrentChange:
            with self.store.alone() as writing:
                positions, work = self._carry_out(commands, context, under, writing)
        # only now: what was decided alone is not recorded before the end of its transaction
        self._recent.keep(a for a in work.touched.values() if a.id not in (self._kept or {}))
        return Recorded(positions, repeated=False)

    def _carry_out(
        self,
        commands: tuple[Command, ...],
        context: CommandContext,
        under: tuple[int, DataKey] | None,
        writing: Any = None,
    ) -> tuple[list[int], UnitOfWork]:
        work = UnitOfWork(
            self.store, alone=writing is not None, kept=self._kept, recent=self._recent
        )
        for command in commands:
            self._check_currency(command)
            self._check_rotation(command, rotates=under is not None)
            HANDLERS[type(command)](work, command)
        reach("dispatch.decided")
        positions = self.store.record(context, *work.touched.values(), writing=writing, under=under)
        return positions, work

    def _check_rotation(self, command: Command, *, rotates: bool) -> None:
        """In a store without a vault (a demo) there is nothing to rotate, so nothing is asked."""
        check(
            rotates or self.store.keys.current == PLAIN or not isinstance(command, ROTATES),
            f"{type(command).__name__} changes what the keys guard, and came without new ones. "
            "Nothing was recorded; change it on its page, which rotates the keys by itself.",
        )

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
