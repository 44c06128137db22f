"""What the crash programme asks for: one history in which every kind of command occurs.

Times follow from the place in the history, so a history that was interrupted and asked for again is
the undisturbed one, hash for hash.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from aggregates.base import Command
from aggregates.blocklist import BlockSymbol, UnblockSymbol
from aggregates.books import AdoptRules, ClosePeriod, ExpectBooks, OpenBooks, ReverseEntry
from aggregates.capital import (
    Earmark,
    RecordDeposit,
    RecordDividend,
    RecordFee,
    RecordInterest,
    RecordMarginInterest,
    RecordRounding,
    RecordWithdrawal,
    RecordWithholding,
    ReleaseReserve,
)
from aggregates.chart_edits import (
    CreateAccount,
    DeactivateAccount,
    MapRole,
    MoveAccount,
    ReactivateAccount,
    RenameAccount,
)
from aggregates.chart_of_accounts import AdoptChart
from aggregates.configuration import AdoptSettings, Change, ChangeSettings
from aggregates.control import (
    AnswerControl,
    LatchKill,
    RecordKillStep,
    RequestControl,
    ResetKill,
    StartKill,
    SwitchDefense,
)
from aggregates.holdings import AllocateGains, IntendBatch, RecordStep
from aggregates.holdings_plan import DEFAULT_PLAN, RollBackPlan, SavePlan
from aggregates.holdings_requests import (
    AnswerHoldings,
    RecordRebalance,
    RequestHoldings,
    StartRequest,
)
from aggregates.instrument import RecordSplit, RegisterInstrument, RenameInstrument
from aggregates.inverse_etfs import MapInverseEtf, UnmapInverseEtf
from aggregates.keys import IntroduceSigner, RecordRotation, RenewKeys
from aggregates.order_messages import (
    IntendOrder,
    RecordAcceptance,
    RecordCancellation,
    RecordExpiry,
    RecordFill,
    RecordRejection,
    RecordSubmission,
    RecordUnknownOutcome,
    RequestCancel,
)
from aggregates.rebalance_values import Preview, Purses
from aggregates.reconciliation import (
    AcceptDifference,
    Difference,
    RecordComparison,
    RecordDifferences,
    RecordNotKnown,
)
from aggregates.screen import RecordCandidates, RecordUniverse, RecordUniverseKept, Rejected
from aggregates.session import (
    CloseSession,
    Decide,
    EndPhase,
    Mark,
    MarkPrices,
    OpenSession,
    RecordReconciliation,
    StartPhase,
)
from aggregates.user_activity import (
    RecordDenial,
    RecordFailedSignIn,
    RecordResetLink,
    RecordSignIn,
    RecordSignOut,
)
from aggregates.users import (
    ChangePassword,
    ChangeRole,
    DeactivateUser,
    EnrolSecondFactor,
    ReactivateUser,
    RegisterUser,
    RemoveSecondFactor,
    SignOutEverywhere,
    UseRecoveryCode,
)
from config.clock import to_micros
from config.paths import DataFolder
from eventstore.application import Store
from eventstore.errors import StoreUnreadable
from eventstore.feed import Feed
from eventstore.verification import verify
from projections.ledger import Ledger, template_chart
from runtime.dispatch import Dispatcher, Recorded
from runtime.views import Views
from security.data_keys import KeyRing
from security.keyfile import read_key, read_or_create_key

IDENTITY = "DEMO_USA_SIM_01"
KEY = bytes(range(32))
START = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
DAY = date(2024, 1, 2)


class Ask(NamedTuple):
    """One batch of commands under one id."""

    id: str
    commands: tuple[Command, ...]

    @property
    def kinds(self) -> str:
        return "+".join(type(c).__name__ for c in self.commands)


def of(kind: type, /, day: date = DAY, **fields: Any) -> Command:
    made: Command = kind(at=START, effective_date=day, **fields)
    return made


def money(kind: type, /, reference: str, amount: str, day: date = DAY, **fields: Any) -> Command:
    own = {"reference": reference, "currency": "USD", "amount": Decimal(amount), "reason": "test"}
    return of(kind, day, **(own | fields))


def intent(order_id: str, side: str, quantity: str) -> Command:
    return of(
        IntendOrder, order_id=order_id, bot_identity=IDENTITY, instrument_id="XNYS:SPY",
        symbol="SPY", sleeve="trading", side=side, order_type="market",
        quantity=Decimal(quantity), strategy="OPEN", reason="test", held=Decimal(quantity),
    )  # fmt: skip


def fill(order_id: str, number: int, quantity: str, price: str, day: date = DAY) -> Command:
    return of(
        RecordFill, day, order_id=order_id, execution_id=f"{order_id}-{number}",
        quantity=Decimal(quantity), price=Decimal(price), currency="USD",
        commission=Decimal("0.35"), fees=Decimal("0.0278"), net_amount=None, settles_on=day,
    )  # fmt: skip


def step(kind: type, order_id: str, **fields: Any) -> Command:
    return of(kind, order_id=order_id, **fields)


def _decision(order_id: str) -> Command:
    return of(
        Decide, decision_id=f"d-{order_id}", strategy="OPEN", symbol="SPY", kind="entry",
        outcome="taken", reason="test", inputs={"price": "100"}, verdicts=(), order_id=order_id,
    )  # fmt: skip


def _batches() -> Iterator[Sequence[Command]]:
    chart = template_chart()
    opened = of(
        OpenBooks, identity=IDENTITY, entity_code="DEMO", jurisdiction_code="USA",
        broker_code="SIM", bot_id="01", currency="USD", timezone="US/Eastern",
        exchange_calendar="XNYS", demo=True,
    )  # fmt: skip
    yield [opened]
    yield [of(AdoptRules, rules_version=1)]
    yield [of(AdoptChart, chart=chart, reason="default chart")]
    yield [of(AdoptSettings, values={"A": "1"}, reason="first")]
    yield [
        of(RegisterInstrument, symbol="SPY", name="SPY", kind="etf", currency="USD",
           exchange="XNYS"),
        money(RecordDeposit, "opening", "100000.00"),
    ]  # fmt: skip
    hours = {"opens_at": START, "closes_at": START + timedelta(hours=6)}
    yield [of(OpenSession, label=str(DAY), symbols=("SPY",), settings_position=4, **hours)]
    yield [of(StartPhase, phase="open")]
    # filled in two parts, the first before its acceptance
    yield [_decision("o1"), intent("o1", "buy", "10")]
    yield [step(RecordSubmission, "o1")]
    yield [step(RecordUnknownOutcome, "o1", reason="no answer")]
    yield [fill("o1", 1, "4", "100.01")]
    yield [step(RecordAcceptance, "o1", broker_order_id="B1")]
    yield [fill("o1", 2, "6", "100.02")]
    # cancelled when half of it was filled; the last fill comes after the cancellation
    yield [_decision("o2"), intent("o2", "sell", "8"), step(RecordSubmission, "o2")]
    yield [step(RecordAcceptance, "o2", broker_order_id="B2"), fill("o2", 1, "3", "101.50")]
    yield [step(RequestCancel, "o2", reason="too slow")]
    yield [step(RecordCancellation, "o2", reason="asked for")]
    yield [fill("o2", 2, "1.5", "101.40")]
    # refused, and expired
    yield [intent("o3", "buy", "1"), step(RecordSubmission, "o3")]
    yield [step(RecordRejection, "o3", error_code="random_refusal", reason="test")]
    yield [intent("o4", "buy", "1"), step(RecordSubmission, "o4")]
    yield [step(RecordExpiry, "o4")]
    mark = Mark(instrument_id="XNYS:SPY", symbol="SPY", price=Decimal("102"), at=START)
    yield [of(MarkPrices, occasion="close", marks=(mark,))]
    yield [of(RecordReconciliation, broker_cash=Decimal("99450.00"), differences=())]
    yield [of(EndPhase, phase="open", outcome="done")]
    yield [of(CloseSession, label=str(DAY))]
    yield [money(RecordDividend, "dividend", "12.34", symbol="SPY", withheld=Decimal("1.85"))]
    yield [money(RecordInterest, "interest", "0.07")]
    yield [money(RecordFee, "fee", "9.99")]
    yield [money(RecordMarginInterest, "margin", "0.01")]
    yield [money(Earmark, "earmark", "500.00", purse_from="float", purse_to="tax_reserve")]
    yield [money(RecordWithdrawal, "draw", "250.00")]
    yield [of(RecordSplit, instrument_id="XNYS:SPY", new_units=3, old_units=1)]
    yield [of(RenameInstrument, instrument_id="XNYS:SPY", symbol="SPX")]
    mapping = {"underlying": "SPY", "reason": "test"}
    yield [of(MapInverseEtf, etf="SH", leverage=Decimal(1), seen=0, **mapping)]
    yield [of(UnmapInverseEtf, seen=1, **mapping)]
    # late: bought before everything, so both sales are re-costed; then a sale is undone
    yield [intent("o5", "buy", "2"), fill("o5", 1, "2", "55.55", date(2023, 12, 29))]
    yield [of(ReverseEntry, reversed_position=23, reason="the broker withdrew it")]
    yield [of(ClosePeriod, through=date(2023, 12, 31), reason="year end")]
    yield [money(RecordFee, "late-fee", "1.00", date(2023, 12, 30))]
    yield [of(AdoptChart, chart=msgspec.structs.replace(chart, version=2), reason="the next")]
    yield [of(AdoptSettings, values={"A": "2"}, reason="changed")]
    # without a vault these are events like others; with one, test_kill_rotation.py asks them
    yield [of(RecordRotation, generation=1, manifest_hash="00", fingerprints=("a", "b"))]
    yield [of(IntroduceSigner, old_vkey="one", new_vkey="other", reason="test")]
    yield [of(RenewKeys, root_key=True, reason="test")]


def _edits(head: int) -> Iterator[Sequence[Command]]:
    """Edits of the settings and of chart 2; ``head`` is the newest event before them."""
    change = Change(key="A", before="2", after="3")
    yield [of(ChangeSettings, seen=2, changes=(change,), reason="")]
    same = {"code": "5090", "reason": "test"}
    yield [of(CreateAccount, seen=2, name="Data feeds", type="expense", **same)]
    yield [of(RenameAccount, seen=3, name="Feeds", **same)]
    yield [of(MoveAccount, seen=4, parent="5010", **same)]
    fees = {"role": "fees", "code": "5020", "reason": "test", "held": ()}
    yield [of(MapRole, seen=5, books_at=head + 4, **(fees | {"code": "5090"}))]
    yield [of(MapRole, seen=6, books_at=head + 5, **fees)]
    yield [of(DeactivateAccount, seen=7, held=(), books_at=head + 6, **same)]
    yield [of(ReactivateAccount, seen=8, **same)]


def _holdings() -> Iterator[Sequence[Command]]:
    """What was set aside of two days, and the first step and batch of a third."""
    nothing = dict.fromkeys(
        ("holdings", "late_trading", "late_holdings", "payroll", "reinvested", "over_reserved"),
        Decimal(0),
    )
    yield [
        of(
            AllocateGains, plan_version=1, first=DAY - timedelta(days=2),
            through=DAY - timedelta(days=1), known_at=9, trading=Decimal(100), tax=Decimal(20),
            reserved=(), arithmetic=("20 % of 100.00 = 20.00",), **nothing,
        ),
        money(
            Earmark, "set-aside", "20.00", purse_from="float", purse_to="tax_reserve",
            context="tax-reserve",
        ),
    ]  # fmt: skip
    yield [of(RecordStep, step="value", outcome="100.00", figures={}, balances={"float": "100.00"})]
    yield [of(IntendBatch, batch="b", side="buy", order_ids=(), skipped={"SPX": "no quote"})]
    yield [
        money(
            ReleaseReserve, "released", "5.00", purse_from="tax_reserve",
            confirmed="RELEASE 5.00 USD",
        )
    ]  # fmt: skip
    yield [of(SavePlan, plan=DEFAULT_PLAN, seen=0, reason="")]
    more = msgspec.structs.replace(DEFAULT_PLAN, float_target=Decimal(12))
    yield [of(SavePlan, plan=more, seen=1, reason="more cash")]
    yield [of(RollBackPlan, to=1, seen=2, reason="")]


def _requests(head: int) -> Iterator[Sequence[Command]]:
    """A top-up that is refused and a rebalance that is carried out; ``head`` as above."""
    yield [of(RequestHoldings, request_id="t", kind="top_up", reason="bills")]
    yield [of(AnswerHoldings, request_id="t", outcome="refused", said="nothing to sell")]
    none = Purses(**dict.fromkeys(Purses.__struct_fields__, Decimal(0)))
    preview = Preview(
        plan=3, currency="USD", securities=(), orders=(), left=(), float_target=None, before=none,
        after=none, digest="0" * 64,
    )  # fmt: skip
    yield [of(RequestHoldings, request_id="r", kind="rebalance", preview=preview, reason="due")]
    yield [of(StartRequest, request_id="r")]
    # two events of one command, none of the other
    done = of(RecordRebalance, request_id="r", result=(), said="nothing to do")
    yield [of(ExpectBooks, position=head + 4), done]


def _people() -> Iterator[Sequence[Command]]:
    """Two users, and what becomes of one."""
    first, second = {"user_id": "u1"}, {"user_id": "u2"}
    yield [of(RegisterUser, name="anna", role="admin", email="", **first)]
    yield [of(RegisterUser, name="boris", role="viewer", email="", **second)]
    yield [of(ChangeRole, role="operator", reason="test", by="u1", **second)]
    yield [of(ChangePassword, way="own", **second)]
    yield [of(EnrolSecondFactor, **second)]
    yield [of(UseRecoveryCode, **second)]
    yield [of(RemoveSecondFactor, reason="test", **second)]
    yield [of(SignOutEverywhere, **second)]
    yield [of(DeactivateUser, reason="test", **second)]
    yield [of(ReactivateUser, reason="test", **second)]
    here = {"address": "127.0.0.1"}
    yield [of(RecordSignIn, second_factor=False, **first, **here)]
    yield [of(RecordFailedSignIn, cause="password", waits_s=0, **second, **here)]
    yield [of(RecordDenial, role="operator", route="users.every", method="GET", **second)]
    yield [of(RecordResetLink, sent="shown", minutes=60, **second)]
    yield [of(RecordSignOut, **first)]


def _safety() -> Iterator[Sequence[Command]]:
    """A stop, a kill to its reset, and a difference with the broker."""
    why = {"source": "page", "reason": "test"}
    yield [of(RequestControl, action="stop", **why)]
    yield [of(AnswerControl, action="stop", effect="entries are stopped")]
    yield [
        of(StartKill, **why),
        of(RecordKillStep, step="entries_blocked", detail="trading buys nothing more"),
    ]
    yield [of(RecordKillStep, step="orders_cancelled", detail="none was open")]
    yield [of(LatchKill, flat=False, left=("SPY 1: halted",))]
    yield [of(ResetKill, reason="test")]
    yield [money(RecordWithholding, "tax-withheld", "1.85", symbol="SPY")]
    yield [money(RecordRounding, "rounding", "0.01", gained=False)]
    cash = Difference(
        difference_id="cash:USD", kind="cash", subject="USD", ours="2", theirs="1", amount="-1",
        known="nothing", to_do="look",
    )  # fmt: skip
    at_start = {"occasion": "start"}
    compared = of(
        RecordComparison, our_cash=Decimal(2), broker_cash=Decimal(1), repaired=(),
        still_open=("cash:USD",), **at_start,
    )  # fmt: skip
    yield [of(RecordDifferences, differences=(cash,), **at_start), compared]
    yield [of(AcceptDifference, difference_id="cash:USD", amount="-1", reason="test")]
    yield [of(RecordNotKnown, reason="no answer", **at_start)]
    yield [of(SwitchDefense, active=True, reason="test")]
    yield [of(SwitchDefense, active=False, reason="test")]


def _screens() -> Iterator[Sequence[Command]]:
    """A universe that could not be made, then one, candidates of it, and a symbol blocked."""
    yield [of(RecordUniverseKept, source="FINNHUB", reason="no answer")]
    low = Rejected(why="price: not known", count=1, symbols=("QQQ",))
    seen = {"source": "FINNHUB", "looked_at": 2, "symbols": ("SPY",), "rejected": (low,)}
    yield [of(RecordUniverse, mode="after-hours", facts="0" * 64, **seen)]
    yield [
        of(
            RecordCandidates, strategy="OPEN", mode="pre-market", universe=DAY, facts="1" * 64,
            said="", **seen,
        )
    ]  # fmt: skip
    yield [of(BlockSymbol, symbol="QQQ", reason="test", seen=0)]
    yield [of(UnblockSymbol, symbol="QQQ", reason="test", seen=1)]


def _asks() -> Iterator[Sequence[Command]]:
    books = list(_batches())
    yield from books
    edits = list(_edits(sum(map(len, books))))
    yield from edits
    holdings = list(_holdings())
    yield from holdings
    yield from _requests(sum(map(len, [*books, *edits, *holdings])))
    yield from _people()
    yield from _safety()
    yield from _screens()


ASKS = [Ask(f"ask:{n}", tuple(batch)) for n, batch in enumerate(_asks())]


class Asker:
    """Asks for the history of one folder, from any place on."""

    def __init__(self, root: Path) -> None:
        self.folder = DataFolder(root)
        self._now = START
        self.store = Store(
            self.folder.events,
            keys=KeyRing.plain(read_or_create_key(self.folder.blind_key, KEY)),
            now_us=lambda: to_micros(self._now),
            software_version="test",
        )
        self._dispatch = Dispatcher(self.store, "tester")

    def ask(self, number: int) -> Recorded:
        self._now = START + timedelta(minutes=number)
        return self._dispatch(*ASKS[number].commands, command_id=ASKS[number].id)

    def close(self) -> None:
        self.store.close()


def rows(root: Path) -> list[tuple[str, bytes]]:
    """(command id, hash) of every event that a reader finds; none before there are tables."""
    try:
        feed = Feed(DataFolder(root).events)
    except StoreUnreadable as e:
        if "no event store" in str(e) or "no such table" in str(e):
            return []
        raise
    with closing(feed):
        return [(row.command_id, row.hash) for row in feed.all()]


def check_books(root: Path) -> tuple[str, bytes]:
    """Chain and commitments hold, the live ledger is a rebuild: its digest and the head's hash."""
    folder = DataFolder(root)
    assert verify(folder.events, KeyRing.plain(read_key(folder.blind_key))).intact
    with (
        closing(Views.open(folder, IDENTITY)) as views,
        closing(Ledger.in_memory()) as rebuilt,
    ):
        views.catch_up()
        rebuilt.catch_up(views.feed)
        assert views.ledger.digest() == rebuilt.digest()
        return rebuilt.digest(), views.feed.head().hash


class Calm(NamedTuple):
    """The history that nobody disturbed. ``ends`` has the number of events before each ask."""

    rows: list[tuple[str, bytes]]
    ends: list[int]
    books: tuple[str, bytes]


def calm_history(root: Path) -> Calm:
    with closing(Asker(root)) as asker:
        for number in range(len(ASKS)):
            asker.ask(number)
    ends = accumulate((len(ask.commands) for ask in ASKS), initial=0)
    return Calm(rows(root), list(ends), check_books(root))
