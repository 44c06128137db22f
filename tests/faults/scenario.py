"""One seeded day at a broker on a bad line, with kills and restarts, and what must hold then."""

import random
import shutil
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from brokers.fault_draws import Drawn, Faults
from brokers.faulty import FaultyBroker
from brokers.port import BrokerUnavailable, OutcomeUnknown
from brokers.simulated import SimulatedBroker
from config import failpoints
from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import demo_settings
from runtime.bootstrap import Bot, provision
from runtime.guard import KillOrder, Unwatched
from runtime.reconciliation import differences, reconcile
from runtime.supervisor import StartRefused, Supervisor

CASH = Decimal("100000.00")
MOST_STARTS = 120
MINUTE = timedelta(minutes=1)
ON_THE_WAY = ("outbox.", "kill.", "broker.")  # steps of orders; the others are drawn by number
MANY_STEPS = 600
CALM = 40  # minutes after the open: nothing goes wrong any more, and all that is thin trades again
TOLERANCE = Decimal("1.02")  # an order is filled above the price that it was judged with


class Killed(BaseException):
    """SIGKILL, in process: nothing handles it, and only the disk outlives it."""


class AskedToKill(Unwatched):
    """A person asks for the kill switch at one moment of the day."""

    def __init__(self, clock: VirtualClock, at: datetime) -> None:
        super().__init__(clock)
        self._at, self._asked = at, False

    def wait_until(self, moment: datetime) -> KillOrder | None:
        super().wait_until(moment)
        if self._asked or self._clock.now() < self._at:
            return None
        self._asked = True
        return KillOrder("page", "somebody asked for it")


def provisioned(world: Any, calendar: Any, root: Path, settings: dict[str, str]) -> Path:
    """A bot before its first session, in a folder to be copied."""
    folder = DataFolder(root)
    folder.vix.parent.mkdir(parents=True)
    folder.vix.write_text(world.VIX, encoding="utf-8")
    folder.simulated_broker.parent.mkdir(parents=True)
    (hours,) = calendar.sessions(world.DAY, world.DAY)
    clock = VirtualClock(hours.open - timedelta(days=1))
    market = world.SmallMarket(0, hours.open)
    broker = SimulatedBroker(
        folder.simulated_broker, market, clock, calendar, starting_cash=CASH, seed=0
    )
    bot = Bot(
        folder, demo_settings(settings), clock=clock, broker=broker, calendar=calendar,
        fresh_blind_key=bytes(32),
    )  # fmt: skip
    provision(bot, symbols=world.SYMBOLS, deposit=CASH, at=clock.now(), demo=True)
    bot.views.catch_up()
    bot.close()
    broker.close()
    return root


class Scenario:
    """``world`` is the module small_world; ``template`` a provisioned bot's folder, copied."""

    def __init__(
        self, world: Any, calendar: Any, template: Path, root: Path, seed: int, **options: Any
    ) -> None:
        self.world, self.calendar, self.seed = world, calendar, seed
        self.settings = demo_settings(options.get("settings", world.SETTINGS))
        self.rng = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.folder = DataFolder(root / str(seed))
        shutil.copytree(template, self.folder.root)
        (self.hours,) = calendar.sessions(world.DAY, world.DAY)
        self.clock = VirtualClock(self.hours.open - timedelta(hours=1))
        self.market = world.SmallMarket(seed, self.hours.open)
        self.behind = self._simulated()
        self.calm_early = self.rng.random() < 0.8  # well before the close
        self.line = self._line(options.get("faults"))
        self.kill_at = self._moment(50) if self.rng.random() < 0.12 else None
        self.kills_left = self.rng.choice((0, 1, 1, 2, 4))
        self.head = ""
        self.back_at = self.hours.open  # when the last process was started again

    def _moment(self, minutes: int) -> datetime:
        opens: datetime = self.hours.open
        return opens + timedelta(minutes=self.rng.randrange(minutes))

    def _line(self, faults: Faults | None) -> FaultyBroker:
        share = self.rng.choice((0.02, 0.05, 0.1, 0.15))
        minutes = CALM if self.calm_early else 65
        return FaultyBroker(
            self.behind,
            self.clock,
            faults or Drawn(self.seed, share),
            calm_from=self.hours.open + timedelta(minutes=minutes),
            skew=timedelta(seconds=self.rng.choice((0, 0, 0, 2, -4, 40))),
            requests_per_minute=self.rng.choice((None, None, None, 24)),
        )

    def _simulated(self) -> SimulatedBroker:
        return SimulatedBroker(
            self.folder.simulated_broker, self.market, self.clock, self.calendar,
            starting_cash=CASH, seed=self.seed,
        )  # fmt: skip

    # --- the day ----------------------------------------------------------------------------

    def run(self) -> None:
        """Processes one after another, until one has closed the session; then everything is
        looked at."""
        for _ in range(MOST_STARTS):
            if self._process():
                break
            self.counts["restarts"] += 1
            downtime = self.rng.choice((0, 0, 0, 1, 3))
            self.clock.wait_until(self.clock.now() + timedelta(minutes=downtime, seconds=1))
            self.back_at = self.clock.now()
            self.behind.close()
            self.behind = self._simulated()
            self.line.reconnect(self.behind)
        else:
            raise AssertionError(f"not closed after {MOST_STARTS} starts")
        self.counts.update({f"faults: {fault}": n for fault, n in self.line.played.items()})

    def _process(self) -> bool:
        """One process from its start to its end; whether the session is closed then."""
        bot = self.open()
        try:
            self._arm()
            guard = AskedToKill(self.clock, self.kill_at) if self.kill_at else None
            Supervisor(bot, self.world.SYMBOLS, guard).run_session(self.hours)
        except Killed:
            return False
        except (BrokerUnavailable, OutcomeUnknown, StartRefused):
            # it ends, is started again a minute later, and goes on where it stood
            self.counts["processes ended by a silent broker"] += 1
            self.clock.wait_until(self.clock.now() + MINUTE)
            return False
        finally:
            failpoints.arm(None)
            bot.close()
        return True

    def _arm(self) -> None:
        if not self.kills_left:
            return
        self.kills_left -= 1
        names = [s for s in failpoints.STEPS if s.startswith(ON_THE_WAY)]
        name = self.rng.choice(names) if self.rng.random() < 0.7 else ""
        left = self.rng.choice((1, 1, 2, 3, 5)) if name else self.rng.randrange(1, MANY_STEPS)

        def act(step: str) -> None:
            nonlocal left
            left -= name in ("", step)
            if not left:
                self.counts[f"kills at {step.partition('.')[0]}"] += 1
                left = -1
                raise Killed

        failpoints.arm(act)

    def open(self) -> Bot:
        return Bot(
            self.folder,
            self.settings,
            clock=self.clock,
            broker=self.line,
            calendar=self.calendar,
            fresh_blind_key=bytes(32),
        )

    # --- what must hold ---------------------------------------------------------------------

    def check(self) -> None:
        self.next_morning()
        bot = self.open()
        try:
            bot.views.catch_up()
            self.head = bot.store.head().hash.hex()
            events = self._events(bot)
            self.check_orders(events)
            self.check_fills(events)
            self.check_one_at_a_time(events)
            self.check_books(bot)
            self.check_flat(events)
            self.check_exits(events)
            self.check_limits(events)
        finally:
            bot.close()

    def next_morning(self) -> None:
        """A broker that was silent to the end is asked before the next session: nothing differs
        then. After a day whose end was calm there is nothing left to mend."""
        bot = self.open()
        try:
            if self.calm_early:
                bot.views.catch_up()
                assert not bot.views.orders.unfinished(), "an order never ended"
                assert not differences(bot.views.books, self.behind), "the day did not end equal"
            self.clock.wait_until(self.hours.close + timedelta(hours=17))
            found = reconcile(bot, None, "start")
            assert found.known
            assert not found.open_differences, f"unexplained: {found.open_differences}"
            assert not bot.views.orders.unfinished(), "an order never ended"
            self.counts["repairs before the next session"] += len(found.repaired)
        finally:
            bot.close()

    def _events(self, bot: Bot) -> list[Any]:
        feed = bot.views.feed
        return [feed.event(row) for row in feed.page(limit=10_000)]

    def check_orders(self, events: list[Any]) -> None:
        """No double order: by client order id, by decision, and by what was bought of a symbol."""
        twice = {name: n for name, n in self.line.arrived.items() if n > 1}
        assert not twice, f"double orders: {twice}"
        intents = [e for e in events if e.topic == "Order.Intended"]
        decided = Counter(e.order_id for e in events if e.topic == "Session.Decided" and e.order_id)
        assert all(n == 1 for n in decided.values()), f"one decision, two orders: {decided}"
        assert set(decided) <= {e.order_id for e in intents}
        known = {e.client_order_id for e in intents}
        assert set(self.line.arrived) <= known, "an order without an intent"
        unclear = {e.order_id: e.occurred_at for e in events if e.topic == "Order.OutcomeUnknown"}
        since = {e.client_order_id: unclear[e.order_id] for e in intents if e.order_id in unclear}
        again = [(at, name) for at, name in self.line.sent if at > since.get(name, at)]
        assert not again, f"sent again after an unclear outcome: {again}"
        bought = Counter(
            (e.strategy, e.symbol)
            for e in intents
            if e.side == "buy" and e.client_order_id in self.line.arrived
        )
        assert all(n == 1 for n in bought.values()), f"bought twice: {bought}"
        self.counts["orders at the broker"] += len(self.line.arrived)
        self.counts["orders intended"] += len(intents)
        self.counts["orders of puts intended"] += sum(_units(e.symbol) > 1 for e in intents)

    def check_one_at_a_time(self, events: list[Any]) -> None:
        """Of a symbol no two orders are at work at one time, and what was to be cancelled buys
        nothing any more once the broker answers again, unless a kill has said that it gave up."""
        there = [self.behind.order(name) for name in self.line.arrived]
        by_arrival = sorted((o for o in there if o), key=lambda o: (o.symbol, o.broker_order_id))
        for first, second in pairwise(by_arrival):
            if first.symbol == second.symbol:
                assert first.updated_at <= second.submitted_at, f"{first} and {second} at one time"
        # a cancellation that was recorded when the process was killed is sent when it is back
        late = max(self.hours.open + timedelta(minutes=CALM + 3), self.back_at + MINUTE)
        bought = [e for e in self.behind.fills_since(0) if e.side == "buy" and e.executed_at > late]
        gave_up = any(e.topic == "Control.Killed" and not e.flat for e in events)
        excused = gave_up or not self.calm_early
        assert not bought or excused, f"bought after the end of entries: {bought}"
        self.counts["days with purchases after a kill had given up"] += bool(bought) and gave_up

    def check_fills(self, events: list[Any]) -> None:
        told = Counter(
            (e.execution_id, e.quantity, e.price, e.side, e.symbol)
            for e in events if e.topic == "Order.Filled"
        )  # fmt: skip
        true = Counter(
            (e.execution_id, e.quantity, e.price, e.side, e.symbol)
            for e in self.behind.fills_since(0)
        )
        assert told == true, f"lost {true - told}, invented or doubled {told - true}"
        self.counts["fills"] += sum(true.values())

    def check_books(self, bot: Bot) -> None:
        """Also against the sum of the broker's own executions."""
        found = differences(bot.views.books, self.behind)
        assert not found, f"books and broker differ: {found}"
        net = sum((e.net_amount or 0 for e in self.behind.fills_since(0)), Decimal(0))
        assert bot.views.books.broker_cash() == CASH + net

    def check_flat(self, events: list[Any]) -> None:
        """Nothing is held, unless the broker was silent to the end or a kill says what it left."""
        held = self.behind.positions()
        latched = [e for e in events if e.topic == "Control.Killed"]
        assert not held or not any(e.flat for e in latched), f"said to be flat: {held}"
        assert not held or latched or not self.calm_early, f"not flat: {held}"
        after = [one for one in self.line.sent if latched and one[0] > latched[0].occurred_at]
        assert not after, f"sent after the kill was latched: {after}"
        self.counts["days not flat at the close, and so recorded"] += bool(held)
        self.counts["kill switches"] += len(latched)

    def check_exits(self, events: list[Any]) -> None:
        """Each exit sells exactly what is held: also after an entry that filled in parts. What an
        earlier exit has sold, and is told later, is not sold again."""
        held: Counter[str] = Counter()
        exits: dict[str, str] = {}
        for n, e in enumerate(events):
            if e.topic == "Order.Filled":
                held[e.symbol] += e.quantity if e.side == "buy" else -e.quantity  # type: ignore[assignment]
            if e.topic == "Order.Intended" and e.side == "sell":
                earlier = {i for i, symbol in exits.items() if symbol == e.symbol}
                told_later = sum(
                    (
                        later.quantity
                        for later in events[n:]
                        if later.topic == "Order.Filled" and later.order_id in earlier
                    ),
                    Decimal(0),
                )
                left = held[e.symbol] - told_later
                assert e.quantity == left, f"{e.order_id} sells {e.quantity} of {left}"
                exits[e.order_id] = e.symbol
                self.counts["exits"] += 1

    def check_limits(self, events: list[Any]) -> None:
        """By what the broker held in truth, not by what the bot knew of it."""
        held: Counter[str] = Counter()
        cost: Counter[str] = Counter()
        settings = self.settings
        for e in self.behind.fills_since(0):
            held[e.symbol] += e.quantity if e.side == "buy" else -e.quantity  # type: ignore[assignment]
            if e.side == "buy":
                cost[e.symbol] += e.quantity * e.price * _units(e.symbol)  # type: ignore[assignment]
            elif not held[e.symbol]:
                cost[e.symbol] = 0
            assert held[e.symbol] >= 0, f"short of {e.symbol}"
            positions = [symbol for symbol, quantity in held.items() if quantity]
            assert len(positions) <= settings.MAX_OPEN_POSITIONS, f"{positions} at one time"
            assert sum(cost.values()) <= settings.TOTAL_ALLOCATION * CASH * TOLERANCE
        buys = [e for e in events if e.topic == "Order.Intended" and e.side == "buy"]
        assert len(buys) <= settings.MAX_TRADES
        killed = [i for i, e in enumerate(events) if e.topic == "Control.KillStarted"]
        late = [e for e in events[killed[0] :] if e.topic == "Order.Intended"] if killed else []
        assert all(e.side == "sell" for e in late), "bought after a kill"


def _units(symbol: str) -> int:
    """What one of it costs, in units of its price: a put has its terms in its symbol."""
    return 100 if len(symbol) > 6 else 1
