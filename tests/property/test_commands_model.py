"""Commands through the dispatcher, with kills and restarts, against a model that recomputes all.

The model of test_ledger_model computes balances and lots from a plain list of what happened; here
that list is made of what was acknowledged. Withdrawals, fees and charts that move the commissions
are added below. Each command may be refused, killed at any step and asked for again.
"""

import importlib.util
import os
import shutil
import signal
import sys
import tempfile
from collections import defaultdict
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from aggregates.base import Command
from aggregates.books import AdoptRules, ClosePeriod, OpenBooks, ReverseEntry
from aggregates.capital import RecordDeposit, RecordFee, RecordWithdrawal
from aggregates.chart_of_accounts import Account, AdoptChart
from aggregates.errors import DomainError
from aggregates.instrument import RecordSplit, RegisterInstrument
from aggregates.order_messages import IntendOrder, RecordCancellation, RecordFill, RequestCancel
from config import failpoints
from config.clock import to_micros
from config.paths import DataFolder
from eventstore.application import Store
from eventstore.errors import CommandConflict
from eventstore.feed import Feed
from eventstore.verification import verify
from projections.ledger import Ledger, template_chart
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import AsOf
from runtime.dispatch import Dispatcher, Recorded
from security.data_keys import KeyRing

FULL = os.environ.get("PROGRAMME") == "full"
IDENTITY = "DEMO_USA_SIM_01"
KEY = bytes(range(32))
STEPS = [s for s in failpoints.STEPS if s.startswith(("dispatch.", "store.")) and ".lay." not in s]


def beside(name: str) -> Any:
    """A module of this folder, which is no package, by its path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


ledger_model = beside("test_ledger_model")
History, Happened = ledger_model.History, ledger_model.Happened
DAYS, NOON, POOLS, UNIT = (
    ledger_model.DAYS, ledger_model.NOON, ledger_model.POOLS, ledger_model.UNIT,
)  # fmt: skip

ANY_DAY = st.sampled_from([*DAYS, *DAYS[-1:] * 4])
TROUBLE = st.sampled_from([*[""] * 14, *STEPS])  # where the process is killed, "" for nowhere
FILLS = st.fixed_dictionaries(
    {
        "side": st.sampled_from(["buy", "sell"]), "pool": st.sampled_from(sorted(POOLS)),
        "day": ANY_DAY, "milli": st.integers(1, 60_000),  # units in 1e-3, of a purchase
        "part": st.sampled_from([1, 1, 2, 3]), "micro": st.integers(1, 300_000_000),
        "tenths": st.integers(0, 900), "trouble": TROUBLE,  # tenths of a cent of commission
    }
)  # fmt: skip


class CommandsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="commands-model"))
        self.folder = DataFolder(self.root)
        self.now, self.head = NOON, 0
        self.asked: list[tuple[str, tuple[Command, ...], list[int]]] = []
        self.known: list[tuple[datetime, int]] = []  # time, and the last position recorded by then
        self.orders: list[dict[str, Any]] = []
        self.commissions: list[tuple[int, str]] = []  # from that position on, that account
        self.open()

    def open(self) -> None:
        self.store = Store(
            self.folder.events,
            keys=KeyRing.plain(KEY),
            now_us=lambda: to_micros(self.now),
            software_version="test",
        )
        self.dispatch = Dispatcher(self.store, "tester")
        self.feed = Feed(self.folder.events)
        self.ledger = Ledger.open(self.folder.ledger(IDENTITY))

    def close(self) -> None:
        for part in (self.ledger, self.feed, self.store):
            part.close()

    # -- asking ----------------------------------------------------------------------------

    def ask(self, *commands: Command, trouble: str, refused: bool = False) -> int:
        """Ask once, or be killed and ask again; the position of the last event, 0 when refused."""
        self.now += timedelta(minutes=1)
        command_id = f"c{len(self.asked)}"
        if trouble:
            self.be_killed(trouble, commands, command_id, refused)
        if refused:
            with pytest.raises(DomainError):
                self.dispatch(*commands, command_id=command_id)
            assert self.store.head().position == self.head
            return 0
        done = self.dispatch(*commands, command_id=command_id)
        expected = list(range(self.head + 1, self.head + 1 + len(commands)))
        assert done == Recorded(expected, repeated=trouble == "store.committed")
        self.head = expected[-1]
        self.asked.append((command_id, commands, expected))
        self.known.append((self.now, self.head))
        return self.head

    def be_killed(
        self, step: str, commands: tuple[Command, ...], command_id: str, refused: bool
    ) -> None:
        """Another process asks the same and does not live to tell. SQLite's locks are not to be
        inherited, so nothing is open meanwhile."""
        self.close()
        child = os.fork()
        if not child:
            try:
                signal.alarm(60)
                failpoints.arm(lambda s: s == step and os.kill(os.getpid(), signal.SIGKILL))
                self.open()
                self.dispatch(*commands, command_id=command_id)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        reached = not refused or step == "dispatch.looked_up"
        assert os.waitstatus_to_exitcode(status) == (-signal.SIGKILL if reached else 1)
        self.open()

    def of(self, kind: type, /, day: date, **fields: Any) -> Command:
        made: Command = kind(at=self.now, effective_date=day, **fields)
        return made

    @initialize(
        method=st.sampled_from(["average", "fifo"]),
        fills=st.lists(FILLS, min_size=3, max_size=9),
    )
    def open_books(self, method: Any, fills: list[dict[str, Any]]) -> None:
        self.model, self.plain = History(method), History(method)
        self.plain.reversals, self.plain.closes = self.model.reversals, self.model.closes
        self.entries: dict[int, dict[str, int]] = {}
        opened = self.of(
            OpenBooks, DAYS[0], identity=IDENTITY, entity_code="DEMO", jurisdiction_code="USA",
            broker_code="SIM", bot_id="01", currency="USD", timezone="US/Eastern",
            exchange_calendar="XNYS", cost_method=method, demo=True,
        )  # fmt: skip
        self.ask(opened, self.of(AdoptRules, DAYS[0], rules_version=1), trouble="")
        self.chart = template_chart()
        self.adopt(self.chart)
        for symbol in ("AAA", "BBB"):
            self.ask(
                self.of(RegisterInstrument, DAYS[0], symbol=symbol, name=symbol, kind="stock",
                        currency="USD", exchange="XNYS"),
                trouble="",
            )  # fmt: skip
        self.trade(sorted(fills, key=lambda f: (f["day"], f["side"])))

    # -- money -----------------------------------------------------------------------------

    @rule(
        kind=st.sampled_from([RecordDeposit, RecordWithdrawal, RecordFee]),
        day=ANY_DAY, cents=st.integers(1, 10**7), twice=st.booleans(), trouble=TROUBLE,
    )  # fmt: skip
    def move_money(self, kind: type, day: date, cents: int, twice: bool, trouble: str) -> None:
        """An entry; its reference is booked once, whatever the command's id."""
        fields = {"reference": f"r{len(self.asked)}", "currency": "USD", "reason": "as stated",
                  "amount": Decimal(cents).scaleb(-2)}  # fmt: skip
        position = self.ask(self.of(kind, day, **fields), trouble=trouble)
        self.plain.happened.append(Happened(day, position, "money"))
        other, sign = {RecordDeposit: ("3010", 1), RecordWithdrawal: ("3020", -1)}.get(
            kind, ("5020", -1)
        )
        self.entries[position] = {"1010": sign * cents, other: -sign * cents}
        if twice:
            self.ask(self.of(kind, day, **fields), trouble=trouble, refused=True)

    # -- orders ----------------------------------------------------------------------------

    @rule(fills=st.lists(FILLS, min_size=1, max_size=5))
    def trade(self, fills: list[dict[str, Any]]) -> None:
        """Purchases, of which a part is filled; sales of a part of what is held that day."""
        for drawn in fills:
            more = dict(drawn)
            part, units = more.pop("part"), more.pop("milli") * UNIT // 1000
            side, pool = more.pop("side"), more.pop("pool")
            if side == "sell":
                books, _ = self.model.books(more["day"])
                held = [pool for pool, code in POOLS.items() if books.get(code, (0, 0))[1]]
                if not held:
                    continue
                pool = held[units // UNIT % len(held)]
                units, part = max(books[POOLS[pool]][1] // part, 1), 1
            order = {"id": f"o{len(self.asked)}", "pool": pool, "side": side, "open": units,
                     "fills": 0}  # fmt: skip
            self.fill(order, units // part, self.intent(order), **more)

    @precondition(lambda self: self.orders)
    @rule(
        place=st.integers(0, 99), part=st.sampled_from([1, 1, 2, 3]), day=ANY_DAY,
        micro=st.integers(1, 300_000_000), tenths=st.integers(0, 900), over=st.booleans(),
        trouble=TROUBLE,
    )  # fmt: skip
    def fill_later(self, place: int, part: int, over: bool, **more: Any) -> None:
        """A part of what is open, perhaps after the cancellation, perhaps late; never too much."""
        order = self.orders[place % len(self.orders)]
        if over:
            trouble = more["trouble"]
            command = self.fill_of(order, order["open"] + 1, more["day"], more["micro"], 0)
            self.ask(command, trouble=trouble, refused=True)
        self.fill(order, order["open"] // part, **more)

    def fill(
        self, order: dict[str, Any], units: int, *before: Command, day: date, micro: int,
        tenths: int, trouble: str,
    ) -> None:  # fmt: skip
        """Unless a sale would be short on some day: a broker does not report such a fill."""
        gross = round(Fraction(units, UNIT) * Fraction(micro, 10**6) * 100)
        happened = Happened(
            day, self.head + 1 + len(before), order["side"], POOLS[order["pool"]], units, gross,
            (round(Fraction(tenths, 100)), 0, 0),
        )  # fmt: skip
        if units and self.model.allows(happened):
            self.ask(*before, self.fill_of(order, units, day, micro, tenths), trouble=trouble)
            self.model.happened.append(happened)
            order["open"] -= units
            order["fills"] += 1
            if before:
                self.orders.append(order)

    def intent(self, order: dict[str, Any]) -> Command:
        return self.of(
            IntendOrder, DAYS[-1], order_id=order["id"], bot_identity=IDENTITY,
            instrument_id=f"XNYS:{order['pool'][1]}", symbol=order["pool"][1],
            sleeve=order["pool"][0], side=order["side"], order_type="market",
            quantity=Decimal(order["open"]).scaleb(-9), strategy="OPEN", reason="test",
            held=Decimal(order["open"]).scaleb(-9),
        )  # fmt: skip

    def fill_of(
        self, order: dict[str, Any], units: int, day: date, micro: int, tenths: int
    ) -> Command:
        return self.of(
            RecordFill, day, order_id=order["id"], execution_id=f"{order['id']}-{order['fills']}",
            quantity=Decimal(units).scaleb(-9), price=Decimal(micro).scaleb(-6), currency="USD",
            commission=Decimal(tenths).scaleb(-4), fees=Decimal(0), net_amount=None,
            settles_on=day,
        )  # fmt: skip

    @precondition(lambda self: any(o["open"] for o in self.orders))
    @rule(place=st.integers(0, 99), trouble=TROUBLE)
    def cancel(self, place: int, trouble: str) -> None:
        """Both in one batch; an order that was cancelled before is left alone."""
        left = [o for o in self.orders if o["open"] and not o.get("cancelled")]
        if left:
            order = left[place % len(left)]
            fields = {"order_id": order["id"], "reason": "test"}
            self.ask(self.of(RequestCancel, DAYS[-1], **fields),
                     self.of(RecordCancellation, DAYS[-1], **fields), trouble=trouble)  # fmt: skip
            order["cancelled"] = True

    # -- what changes the past -------------------------------------------------------------

    @rule(
        symbol=st.sampled_from(["AAA", "BBB"]), day=ANY_DAY, trouble=TROUBLE,
        ratio=st.sampled_from([(2, 1), (3, 2), (1, 3), (7, 5), (1, 10)]),
    )  # fmt: skip
    def split(self, symbol: str, day: date, ratio: tuple[int, int], trouble: str) -> None:
        happened = Happened(day, self.head + 1, "split", symbol, ratio=Fraction(*ratio))
        if self.model.allows(happened):
            fields = {"instrument_id": f"XNYS:{symbol}", "new_units": ratio[0],
                      "old_units": ratio[1]}  # fmt: skip
            self.ask(self.of(RecordSplit, day, **fields), trouble=trouble)
            self.model.happened.append(happened)

    @precondition(lambda self: self.model.happened or self.plain.happened)
    @rule(place=st.integers(0, 99), trouble=TROUBLE)
    def reverse(self, place: int, trouble: str) -> None:
        """Refused when it was reversed before, or when a sale would be short without it."""
        booked = sorted(h.position for h in (*self.model.happened, *self.plain.happened))
        position = booked[place % len(booked)]
        self.ledger.catch_up(self.feed)
        moved = tuple(LedgerQueries(self.ledger.connection).unit_movements(position))
        refused = position in self.model.reversals or not self.model.allows(without=position)
        command = self.of(
            ReverseEntry, DAYS[-1], reversed_position=position, reason="wrong", movements=moved
        )
        if found := self.ask(command, trouble=trouble, refused=refused):
            self.model.reversals[position] = found

    @rule(through=st.sampled_from(DAYS[:-1]), trouble=TROUBLE)
    def close_period(self, through: date, trouble: str) -> None:
        closed = self.model.closes[-1][1] if self.model.closes else date.min
        command = self.of(ClosePeriod, DAYS[-1], through=through, reason="month end")
        if found := self.ask(command, trouble=trouble, refused=through <= closed):
            self.model.closes.append((found, through))

    @rule(account=st.sampled_from(["5010", "5015", "5016"]), skip=st.booleans(), trouble=TROUBLE)
    def adopt_chart(self, account: str, skip: bool, trouble: str) -> None:
        """The next version, which may send commissions elsewhere; a version is never skipped."""
        found = self.chart.account(account)
        added = () if found else (Account(code=account, name=account, type="expense"),)
        chart = msgspec.structs.replace(
            self.chart,
            version=self.chart.version + 1 + skip,
            accounts=(*self.chart.accounts, *added),
            mapping=self.chart.mapping | {"commissions": account},
        )
        self.adopt(chart, trouble=trouble, refused=skip)

    def adopt(self, chart: Any, trouble: str = "", refused: bool = False) -> None:
        command = self.of(AdoptChart, DAYS[-1], chart=chart, reason="test")
        if found := self.ask(command, trouble=trouble, refused=refused):
            self.chart = chart
            self.commissions.append((found, chart.mapping["commissions"]))

    # -- asked again, closed and opened ----------------------------------------------------

    @rule(place=st.integers(0, 99), other=st.booleans())
    def ask_again(self, place: int, other: bool) -> None:
        """Any command of the past: its first result, or a conflict where the content differs."""
        command_id, commands, positions = self.asked[place % len(self.asked)]
        if other:
            with pytest.raises(CommandConflict):
                self.dispatch(*commands, commands[0], command_id=command_id)
        else:
            again = self.dispatch(*commands, command_id=command_id)
            assert again == Recorded(positions, repeated=True)
        assert self.store.head().position == self.head

    @rule()
    def restart(self) -> None:
        self.close()
        self.open()

    # -- what must hold --------------------------------------------------------------------

    @rule(day=st.sampled_from([*DAYS, None]), known=st.none() | st.integers(0, 99))
    def check(self, day: date | None, known: int | None) -> None:
        """Balances and lots of any day, as known now or at any time."""
        self.ledger.catch_up(self.feed)
        position = None
        if known is not None:
            time, position = self.known[known % len(self.known)]
            assert self.feed.position_at(to_micros(time)) == position
        books = LedgerQueries(self.ledger.connection)
        as_of = AsOf(date=day, position=position)
        balances, lots = self.expected(day or date.max, position or 10**9)
        found = {
            b.code: (int(b.amount * 100), int((b.quantity or 0) * UNIT))
            for b in books.balances(as_of)
        }
        assert found == balances
        left = defaultdict(list)
        for lot in books.lots(as_of):
            left[lot.code].append(
                [lot.lot, lot.acquired_on, int(lot.quantity * UNIT), int(lot.cost * 100)]
            )
        assert left == {code: sorted(lots[code], key=lambda x: (x[1], x[0])) for code in lots}

    def expected(self, day: date, position: int) -> tuple[dict[str, tuple[int, int]], Any]:
        """The model's books, with other movements of money, and commissions where they went."""
        balances, lots = self.model.books(day, position)
        cents = defaultdict(int, {code: amount for code, (amount, _) in balances.items()})
        for h in self.plain.known(day, position):
            for code, amount in self.entries[h.position].items():
                cents[code] += amount
        for h in self.model.known(day, position):
            account = [code for at, code in self.commissions if at < h.position][-1]
            cents["5010"] -= h.costs[0]
            cents[account] += h.costs[0]
        units = {code: held for code, (_, held) in balances.items()}
        both = {code: (cents[code], units.get(code, 0)) for code in {*cents, *units}}
        return {code: pair for code, pair in both.items() if any(pair)}, lots

    def teardown(self) -> None:
        try:
            if self.asked:
                for day in (*DAYS, None):
                    self.check(day, None)
                for known in range(0, len(self.known), 5):
                    self.check(None, known)
                self.check_rebuild()
        finally:
            self.close()
            shutil.rmtree(self.root)

    @precondition(lambda self: self.asked)
    @rule()
    def check_rebuild(self) -> None:
        self.ledger.catch_up(self.feed)
        verified = verify(self.folder.events, KeyRing.plain(KEY))
        assert (verified.intact, verified.position) == (True, self.head)
        with closing(Ledger.in_memory()) as rebuilt:
            rebuilt.catch_up(self.feed)
            assert rebuilt.digest() == self.ledger.digest()


TestCommandsModel = CommandsMachine.TestCase
TestCommandsModel.settings = settings(
    max_examples=500 if FULL else 12,
    stateful_step_count=60 if FULL else 25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
