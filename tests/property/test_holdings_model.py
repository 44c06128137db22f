"""The long-term holdings against a model that knows results by date, and adds up what is due.

Plans, prices, gains, losses, late corrections, top-ups, rebalances and overrides come in any order,
orders are filled, cut or refused, and the process is stopped anywhere and goes on. The model has
three lists: results by date, the stretches of dates that reserves were made for, and what the
broker did.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from beside import beside
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aggregates.capital import RecordDeposit, RecordWithdrawal, ReleaseReserve, release_words
from aggregates.errors import DomainError
from aggregates.holdings import (
    STEPS,
    STREAM,
    GainsAllocated,
    Holdings,
    HoldingsDay,
    StepDone,
    day_stream,
)
from aggregates.holdings_plan import (
    Plan,
    PlannedSecurity,
    RollBackPlan,
    SavePlan,
    plan_faults,
    weights,
)
from aggregates.holdings_requests import STREAM as REQUESTS
from aggregates.holdings_requests import HoldingsRequests, RequestHoldings
from config import failpoints
from eventstore.verification import verify
from projections.holdings_queries import HoldingsQueries
from projections.ledger import Ledger
from projections.ledger_records import NOW
from projections.reserve_losses import reserve_short
from runtime.guard import KillAsked, KillOrder
from runtime.holdings_phase import HoldingsPhase
from runtime.holdings_plan import current_plan
from runtime.holdings_prices import day_prices, mark
from runtime.purses import Reserves, purses_of
from runtime.rebalance_preview import situation_of
from runtime.rebalancing import serve_requests
from runtime.requests_then import unspent_of
from security.data_keys import KeyRing
from strategies.rebalance import preview

FULL = os.environ.get("PROGRAMME") == "full"
D = Decimal
ZERO = D(0)
# By the purse's name in commands: its cash, and what it pays.
RESERVES = {"tax_reserve": ("tax_cash", "income_tax"), "payroll_reserve": ("payroll", "payroll")}


world: Any = beside("property/holdings_world")
SYMBOLS: tuple[str, ...] = world.SYMBOLS
cents = world.cents


class Stopped(BaseException):
    """The process ends here."""


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Plans over three securities, most of them valid and with something to buy."""
    symbols = draw(st.permutations(SYMBOLS[:3]))[: draw(st.sampled_from([2, 3, 1, 2, 3, 0]))]
    shares = draw(st.lists(st.sampled_from([None, 25, 50, None, 100, 0]), min_size=3, max_size=3))
    return Plan(
        securities=tuple(
            PlannedSecurity(symbol, None if share is None else D(share))
            for symbol, share in zip(symbols, shares, strict=False)
        ),
        float_target=draw(st.sampled_from([D(10), D("33.33"), D(0), D(90)])),
        tax_reserve=draw(st.sampled_from([D(20), D("12.34"), D(0)])),
        tax_vehicle=draw(st.sampled_from(["", "VEH"])),
        payroll=draw(st.sampled_from([D(10), D("7.77"), D(0)])),
        rebalance_months=draw(st.sampled_from([3, 6, 12])),
        auto_rebalance=draw(st.booleans()),
        sweep=draw(st.sampled_from([True, True, False])),
        drift_band=draw(st.sampled_from([D(0), D(1), D(20)])),
    )


FIRST = Plan(
    securities=tuple(map(PlannedSecurity, SYMBOLS[:3])), tax_vehicle="VEH", sweep=True,
    rebalance_months=3,
)  # fmt: skip
AMOUNTS = st.integers(-60_000, 100_000).map(lambda c: D(c) / 100)
MOODS = st.lists(st.sampled_from(["whole", "whole", "part", "refused", "unanswered"]), max_size=6)
PRICES = st.fixed_dictionaries(
    {s: st.integers(2_000, 20_000).map(lambda c: D(c) / 100) for s in SYMBOLS}
)
MISSING = st.sampled_from(["", "", "", *SYMBOLS])
SKIPS = st.sampled_from([0, 0, 0, 1, 70])
CRASHES = st.lists(st.integers(1, 120), max_size=2)


class HoldingsMachine(RuleBasedStateMachine):
    @initialize(prices=PRICES)
    def begin(self, prices: dict[str, Decimal]) -> None:
        self.waits = -1
        self.root = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.world, self.model = world.World(self.root), world.Model()
        self.trips: list[tuple[date, tuple[int, int], Decimal]] = []
        self.done: Counter[str] = Counter()
        self.kept = self.kept_payroll = ZERO  # what the reserves have been at the most
        self.world.begin_day()
        self.set_prices(prices, "")
        self.save(FIRST)

    # -- plans -----------------------------------------------------------------------------

    @rule(plan=plans())
    def save(self, plan: Plan) -> None:
        number, now = current_plan(self.world.bot)
        if plan_faults(plan) or plan == now:
            self.refused(SavePlan, plan=plan, seen=number)
            return
        self.world.do(SavePlan, plan=plan, seen=number)
        assert current_plan(self.world.bot) == (number + 1, plan)

    @rule(field=st.sampled_from(["tax_vehicle", "sweep"]))
    def edit(self, field: str) -> None:
        """One field of the plan in force, as a person types it."""
        _, now = current_plan(self.world.bot)
        assert now is not None
        other = {"tax_vehicle": "" if now.tax_vehicle else "VEH", "sweep": not now.sweep}[field]
        self.save(msgspec.structs.replace(now, **{field: other}))

    @rule(back=st.integers(1, 3))
    def roll_back(self, back: int) -> None:
        number, now = current_plan(self.world.bot)
        to = number - back
        if to < 1:
            self.refused(RollBackPlan, to=to, seen=number)
            return
        try:
            self.world.do(RollBackPlan, to=to, seen=number)
        except DomainError:
            assert current_plan(self.world.bot) == (number, now)  # it was the same plan

    def refused(self, kind: type, **fields: Any) -> None:
        head = self.world.bot.store.head()
        try:
            self.world.do(kind, **fields)
        except DomainError:
            assert self.world.bot.store.head() == head
            return
        raise AssertionError(f"{kind.__name__} should have been refused")

    # -- results of trading ----------------------------------------------------------------

    @rule(result=AMOUNTS)
    def trade(self, result: Decimal) -> None:
        self.book(result, self.world.hours.day)

    @rule(result=AMOUNTS, back=st.integers(1, 9))
    def told_late(self, result: Decimal, back: int) -> None:
        days = [h.day for h in world.DAYS if h.day <= self.world.hours.day]
        self.book(result, days[max(0, len(days) - 1 - back)])

    def book(self, result: Decimal, on: date) -> None:
        self.trips.append((on, self.world.round_trip(result, on), result))
        self.model.trading[on] += result

    @precondition(lambda self: self.trips)
    @rule(which=st.integers(0, 99))
    def take_back(self, which: int) -> None:
        on, trip, result = self.trips.pop(which % len(self.trips))
        self.world.take_back(trip, result)
        self.model.trading[on] -= result

    # -- money by hand ---------------------------------------------------------------------

    @rule(amount=st.integers(1, 5_000_000).map(lambda c: D(c) / 100))
    def deposit(self, amount: Decimal) -> None:
        self.money(RecordDeposit, amount)
        self.world.broker.cash += amount

    @rule(share=st.integers(1, 100), purse=st.sampled_from(sorted(RESERVES)),
          paid=st.booleans())  # fmt: skip
    def override(self, share: int, purse: str, paid: bool) -> None:
        """A part of a reserve is released, or paid out for what it is kept for."""
        before, (name, purpose) = self.purses(), RESERVES[purse]
        amount = cents(getattr(before, name) * share / 100)
        if not amount:
            return
        if paid:
            self.money(RecordWithdrawal, amount, purse=purse, purpose=purpose)
            self.world.broker.cash -= amount
        else:
            words = release_words(amount, "USD")
            self.money(ReleaseReserve, amount, purse_from=purse, confirmed=words)
        assert getattr(self.purses(), name) == getattr(before, name) - amount
        if purse == "tax_reserve":
            self.kept -= amount
        else:
            self.kept_payroll -= amount

    def money(self, kind: type, amount: Decimal, **fields: Any) -> None:
        fields |= {"reference": f"r{self.world.number}", "currency": "USD", "reason": "test"}
        self.world.do(kind, amount=amount, **fields)

    # -- days ------------------------------------------------------------------------------

    @rule(prices=PRICES, missing=MISSING)
    def set_prices(self, prices: dict[str, Decimal], missing: str) -> None:
        self.world.broker.prices = {s: p for s, p in prices.items() if s != missing}

    @rule(skip=SKIPS, moods=MOODS, crashes=CRASHES)
    def day(self, skip: int, moods: list[str], crashes: list[int]) -> None:
        """The next session, or a later one, and its eight steps."""
        plan = self.next_day(skip, moods)
        self.to_its_end(self.phase, crashes)
        self.check_allocation(plan)
        self.check_steps()
        if "reinvest" in self.steps():
            self.check_whole()
        told = self.world.bot.store.head()
        self.phase()
        assert self.world.bot.store.head() == told, "a day that was done was done again"

    @rule(skip=SKIPS, moods=MOODS, at=st.integers(1, 120), killed=st.booleans())
    def day_that_ends_early(self, skip: int, moods: list[str], at: int, killed: bool) -> None:
        """A kill at one of its waits, or a process that nobody starts again before the next
        session; so long nothing is known of what became of the orders."""
        plan = self.next_day(skip, moods)
        if killed:
            self.waits = at % 12
            with suppress(KillAsked):
                self.phase()
            self.waits = -1
        else:
            self.stopped_at(at, self.phase)
        self.model.take_executions(self.world.broker, self.world.hours.day)
        self.check_allocation(plan)
        self.check_steps()
        self.world.end_day()
        self.world.begin_day()

    def next_day(self, skip: int, moods: list[str]) -> Plan | None:
        """The plan that it begins with."""
        self.world.end_day()
        self.world.begin_day(skip)
        self.world.broker.moods = list(moods)
        return current_plan(self.world.bot)[1]

    def phase(self) -> None:
        w = self.world
        HoldingsPhase(w.bot, w.hours, self.wait).run()

    def wait(self, moment: datetime) -> None:
        self.waits -= 1
        if not self.waits:
            raise KillAsked(KillOrder("page", "test"))
        self.world.clock.wait_until(moment)

    # -- what others do --------------------------------------------------------------------

    @rule(symbol=st.sampled_from(SYMBOLS), share=st.integers(1, 100))
    def sell_by_hand(self, symbol: str, share: int) -> None:
        w, (units, _) = self.world, self.model.held[symbol]
        quantity = (units * share / 100).quantize(w.broker.capabilities.quantity_step)
        if quantity and symbol in w.broker.prices:
            w.sell_by_hand(symbol, quantity)
            self.model.take_executions(w.broker, w.hours.day)
            self.done["by hand"] += 1

    @rule(symbol=st.sampled_from(SYMBOLS))
    def rename(self, symbol: str) -> None:
        if symbol not in self.world.broker.names:
            self.world.rename(symbol)

    @rule(kind=st.sampled_from(["top_up", "rebalance"]), drift=st.sampled_from([0, 0, 1, 2]),
          moods=MOODS, crashes=CRASHES)  # fmt: skip
    def ask(self, kind: str, drift: int, moods: list[str], crashes: list[int]) -> None:
        """What the page asks for, taken up after prices have moved by ``drift`` percent."""
        w = self.world
        plan = current_plan(w.bot)[1]
        waiting = w.bot.store.load(HoldingsRequests, REQUESTS).waiting.values()
        if plan is not None and kind not in {request.kind for request in waiting}:
            w.do(
                RequestHoldings, request_id=f"q{w.number}", kind=kind, reason="test",
                preview=self.previewed(plan) if kind == "rebalance" else None,
            )  # fmt: skip
        for symbol in w.broker.prices:
            w.broker.prices[symbol] = cents(w.broker.prices[symbol] * (100 + drift) / 100)
        w.broker.moods = list(moods)
        before = self.purses()
        self.to_its_end(lambda: serve_requests(w.bot, w.hours, w.clock.wait_until), crashes)
        after = self.purses()
        assert (after.tax_cash, after.tax_vehicle) == (before.tax_cash, before.tax_vehicle)

    def previewed(self, plan: Plan) -> Any:
        """As the page makes it, of the newest marked prices."""
        bot, hours = self.world.bot, self.world.hours
        names = {self.world.broker.named(symbol) for symbol in SYMBOLS}
        mark(bot, hours, f"asked {self.world.number}", day_prices(bot, hours, names))
        state = HoldingsQueries(bot.views.books, bot.views.trading).state(NOW, plan)
        number = current_plan(bot)[0]
        return preview(
            situation_of(
                state,
                number,
                plan,
                broker="SIMULATED",
                currency="USD",
                unspent=unspent_of(bot.store.load(HoldingsRequests, REQUESTS)),
            )
        )

    def to_its_end(self, work: Callable[[], Any], crashes: list[int]) -> None:
        """Stopped at each of these steps in turn, made anew, and then let through."""
        for nth in crashes:
            self.stopped_at(nth, work)
        work()
        self.model.take_executions(self.world.broker, self.world.hours.day)

    def stopped_at(self, nth: int, work: Callable[[], Any]) -> None:
        """At that step, if there are as many, and made anew."""
        left = nth

        def act(_step: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise Stopped

        failpoints.arm(act)
        try:
            work()
        except Stopped:
            failpoints.arm(None)
            self.world.restart()
        finally:
            failpoints.arm(None)

    # -- what must hold --------------------------------------------------------------------

    def purses(self) -> Reserves:
        self.world.bot.views.catch_up()
        return purses_of(self.world.bot.views.books)

    def check_allocation(self, plan: Plan | None) -> None:
        """What was set aside is what the model finds due, to the cent."""
        last = self.world.bot.store.load(Holdings, STREAM).last
        if last is None or last.effective_date != self.world.hours.day or plan is None:
            return
        assert isinstance(last, GainsAllocated)
        trading, holdings = self.model.allocate(last.first, last.through)
        tax = cents(plan.tax_reserve * (trading + holdings) / 100)
        after_tax = trading - cents(plan.tax_reserve * trading / 100)
        payroll = cents(plan.payroll * after_tax / 100)
        assert (last.tax, last.payroll) == (tax, payroll)
        assert ZERO <= last.reinvested <= trading + holdings - tax - payroll
        self.kept += tax
        self.kept_payroll += payroll

    def check_whole(self) -> None:
        """The tax reserve is as high as it ever was, or has all that the float held."""
        after = self.purses()
        whole = after.tax_cash + after.tax_vehicle
        assert whole >= self.kept or after.float <= 0
        assert not whole < self.kept or reserve_short(self.world.bot.views.books).amount > 0
        self.kept = max(self.kept, whole)
        self.done["whole reserves"] += whole >= self.kept

    def steps(self) -> list[str]:
        day = self.world.bot.store.load(HoldingsDay, day_stream(self.world.hours.day))
        return list(day.steps)

    def check_steps(self) -> None:
        """Each step once and in order, as far as the day came; all of it when nothing was wrong."""
        feed = self.world.bot.views.feed
        events = [feed.event(row) for row in feed.stream(day_stream(self.world.hours.day))]
        steps = [e.step for e in events if isinstance(e, StepDone) and e.step in STEPS]
        assert steps == list(STEPS[: len(steps)])
        day = self.world.bot.store.load(HoldingsDay, day_stream(self.world.hours.day))
        ids = [i for batch in day.batches.values() for i in batch.order_ids]
        assert len(set(ids)) == len(ids)
        self.done["days"] += 1
        self.done["whole days"] += len(steps) == len(STEPS)

    @invariant()
    def the_cash_of_all_purses_is_the_brokers(self) -> None:
        held = self.purses()
        assert held.cash == self.world.broker.cash
        assert min(held.tax_cash, held.payroll, held.pool) >= 0
        assert held.payroll == self.kept_payroll

    @invariant()
    def debits_equal_credits_and_units_are_the_brokers(self) -> None:
        books = self.world.bot.views.books
        balance = books.trial_balance()
        assert balance.debits == balance.credits
        ours = {p.symbol: p.quantity for p in books.positions()}
        assert ours == {p.symbol: p.quantity for p in self.world.broker.positions()}
        costs = {p.symbol: p.cost for p in books.positions()}
        named = self.world.broker.named
        assert costs == {named(s): cost for s, (units, cost) in self.model.held.items() if units}

    @invariant()
    def allocations_sum_to_100_percent(self) -> None:
        _, plan = current_plan(self.world.bot)
        assert plan is None or sum(weights(plan).values()) == bool(plan.securities)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.check_rebuild()
        finally:
            self.world.close()
            shutil.rmtree(self.root)

    def check_rebuild(self) -> None:
        self.purses()
        bot = self.world.bot
        verified = verify(self.world.folder.events, KeyRing.plain(bytes(32)))
        assert verified.intact
        with closing(Ledger.in_memory()) as rebuilt:
            rebuilt.catch_up(bot.views.feed)
            assert rebuilt.digest() == bot.views.ledger.digest()


TestHoldingsModel = HoldingsMachine.TestCase
TestHoldingsModel.settings = settings(
    max_examples=200 if FULL else 8,
    stateful_step_count=50 if FULL else 20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
