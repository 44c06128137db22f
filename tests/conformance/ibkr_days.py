"""Short trading days at the fake gateway of Interactive Brokers: days.py with another broker."""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from beside import beside

from brokers.ibkr import IbkrBroker
from brokers.ibkr_link import Access
from config.paths import DataFolder
from runtime.bootstrap import opening_commands
from runtime.reconciliation import reconcile

days, day_market = beside("conformance/days"), beside("conformance/day_market")
small_world = beside("faults/small_world")
gateway, fake_books = beside("fakes/ibkr_gateway"), beside("fakes/ibkr_books")
say = gateway.say
D, MINUTE = Decimal, timedelta(minutes=1)
ON_ORDERS = (
    "mute_before", "mute_after", "late", "reset_before", "reset_after", "garbled_after", "no_end",
    "cut_after",
)  # fmt: skip
ON_READS = ("reset_before", "reset_after", "garbled_after", "mute_before", "no_end", "cut_after")
SILENT = ("mute_before", "mute_after", "no_end")  # these cost real time
# Whole shares only, which the settings must say at this broker
WORLD = SimpleNamespace(
    SETTINGS=small_world.SETTINGS | {"FRACTIONAL": "false"}, SYMBOLS=small_world.SYMBOLS,
    DAY=small_world.DAY, SmallMarket=small_world.SmallMarket, ShortDays=small_world.ShortDays,
)  # fmt: skip


class View:
    """The books, in the words that day_checks judges by."""

    def __init__(self, books: Any) -> None:
        self._books = books

    @property
    def cash(self) -> Decimal:
        return Decimal(self._books.cash)

    @property
    def positions(self) -> dict[str, Decimal]:
        return {self._books.listed[con_id].symbol: q for con_id, q in self._books.held.items()}

    @property
    def orders(self) -> dict[int, dict[str, Any]]:
        return {
            number: {"client_order_id": o.ref, "symbol": o.listed.symbol, "side": o.side.lower()}
            for number, o in self._books.orders.items()
        }

    @property
    def fills(self) -> list[dict[str, Any]]:
        return [
            {
                "id": f"::{f.execution_id.rpartition('.')[0]}", "qty": str(f.quantity),
                "price": str(f.price), "side": f.order.side.lower(),
                "symbol": f.order.listed.symbol, "order_id": f.order.perm_id,
            }
            for f in self._books.fills
        ]  # fmt: skip


class IbkrDay(days.Day):  # type: ignore[misc]
    def __init__(self, calendar: Any, template: Path | None, root: Path, seed: Any) -> None:
        self.calendar, self.seed, self.world = calendar, seed, WORLD
        self.rng = random.Random(f"day {seed}")
        self.counts: Counter[str] = Counter()
        self.folder = DataFolder(root / str(seed))
        if template is not None:
            shutil.copytree(template, self.folder.root)
        (self.hours,) = calendar.sessions(WORLD.DAY, WORLD.DAY)
        before = timedelta(hours=1) if template is not None else timedelta(days=1)
        self.clock = day_market.PlayedClock(self.hours.open - before, lambda: None)
        self.hand: Counter[str] = Counter()
        self.hand_cash = D(0)
        self.late: set[str] = set()
        self._fake()
        self._draw_the_day(calm=template is None)
        self._play(WORLD.SmallMarket(seed, self.hours.open))
        self.broker = self._adapter()

    def _fake(self) -> None:
        self.true = books = fake_books.Books()
        self.books = View(books)
        books.clock = self.clock.now
        self.gateway = gateway.Gateway(books)
        self.server = SimpleNamespace(posts=self.gateway.sent)
        self.gateway.take_fault = self.draw_message
        self.gateway.later = self._arrive_later
        self._cancel, books.cancel = books.cancel, self._too_late
        for symbol in (*WORLD.SYMBOLS[2:], "SPY"):
            books.list_stock(symbol)
        self.gateway.quoted["SPY"] = self.clock.now()

    def _adapter(self) -> IbkrBroker:
        access = Access(
            host="127.0.0.1", port=self.gateway.port, client_id=7, account=fake_books.ACCOUNT,
            paper=True, timeout_s=days.TIMEOUT_S, retries=self.retries, messages_per_second=0,
        )  # fmt: skip
        return IbkrBroker(access, self.clock, self.calendar, tell=lambda _action: None)

    def close(self) -> None:
        self.broker.close()
        self.gateway.close()

    # --- the market -------------------------------------------------------------------------

    def _play(self, market: Any) -> None:
        opens, close = self.hours.open, self.hours.close
        for symbol in market.symbols():
            bars = {bar.start: bar for bar in market.bars(symbol, self.hours.day)}
            quotes = {quote.end: quote for quote in market.quotes(symbol, self.hours.day)}
            for now in (opens + n * MINUTE for n in range((close - opens) // MINUTE + 1)):
                self.clock.at(now, self._minute(symbol, bars.get(now - MINUTE), quotes.get(now)))
                if now in bars:
                    self._trades(symbol, now, bars[now].volume // 10)
        self.clock.at(close, self.true.expire)

    def _minute(self, symbol: str, bar: Any, quote: Any) -> Callable[[], None]:
        def over() -> None:
            if bar is not None:
                row = (bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume)
                self.gateway.bars.setdefault(symbol, []).append(row)
            if quote is not None:
                self.true.prices[self.true.stock(symbol).con_id] = quote.bid, quote.ask
                self.gateway.quoted[symbol] = quote.end

        return over

    def _trades(self, symbol: str, minute: datetime, shares: int) -> None:
        """A tenth of what a bar trades meets our orders, in up to three parts."""
        for part in range(parts := self.rng.choice((1, 2, 3))):
            at = minute + timedelta(seconds=self.rng.uniform(part * 20, part * 20 + 20))
            self.clock.at(at, lambda: self.true.trade(symbol, str(max(shares // parts, 1))))

    # --- what goes wrong --------------------------------------------------------------------

    def draw_message(self, message: str) -> str:
        """In the gateway's threads, one message at a time."""
        now, rng = self.clock.now(), self.rng
        if now >= self.calm_from:
            return ""
        if self.outage[0] <= now < self.outage[1]:
            return "reset_before"
        orders = message in (gateway.PLACE, gateway.CANCEL)
        if not orders and message not in gateway.READS:
            return ""
        # an order takes four questions before it is sent
        if rng.random() >= (self.on_orders if orders else self.on_reads / 3):
            return ""
        kind = rng.choice(ON_ORDERS if orders else ON_READS)
        if kind in SILENT:
            self.mute += 1
            kind = kind if self.mute <= days.MOST_MUTE else "reset_before"
        if kind == "cut_after":
            back = say.error(-1, 1102, "Connectivity between IB and TWS has been restored")
            at = now + timedelta(seconds=rng.choice((5, 70)))
            self.clock.at(at, lambda: self.gateway.say_to_all(back))
        self.counts[f"faults: {kind} of {'orders' if orders else 'questions'}"] += 1
        return str(kind)

    def _arrive_later(self, client_id: int, do: Callable[[], Any]) -> None:
        """The client id stays in use until it has arrived."""

        def arrive() -> None:
            do()
            self.gateway.busy.discard(client_id)

        self.gateway.busy.add(client_id)
        self.clock.at(self.clock.now() + timedelta(seconds=self.rng.uniform(0.1, 25)), arrive)

    def _too_late(self, client_id: int, order_id: int) -> Any:
        """Some cancellations do not catch what is on its way to the exchange."""
        answer = self._cancel(client_id, order_id)
        order = next(o for o in self.true.orders.values() if o.order_id == order_id)
        calm, left = self.clock.now() >= self.calm_from, order.quantity - order.filled
        if answer[0] == 202 and left > 1 and not calm and self.rng.random() < 0.3:
            after = timedelta(seconds=self.rng.uniform(0.1, 20))
            fill = lambda: self.true.fill(order.ref, D(1), late=True)  # noqa: E731
            self.clock.at(self.clock.now() + after, fill)
            self.late.add(order.listed.symbol)
            self.counts["fills after a cancellation"] += 1
        return answer

    def _skew(self, began: datetime, seconds: int) -> None:
        def ahead(by: int) -> None:
            self.true.ahead = timedelta(seconds=by)

        self.counts["clocks that differed"] += 1
        self.clock.at(began, lambda: ahead(seconds))
        self.clock.at(began + timedelta(minutes=self.rng.choice((3, 8))), lambda: ahead(0))

    def _halt(self, symbol: str, began: datetime) -> None:
        def halted(kind: int) -> None:
            self.true.stock(symbol).halted = kind

        self.counts["halts"] += 1
        self.clock.at(began, lambda: halted(1))
        self.clock.at(began + timedelta(minutes=self.rng.choice((1, 4, 12))), lambda: halted(0))

    def _disturb(self) -> None:
        """What is told of fills and costs, and the connection."""
        self.gateway.listing = self.rng.choice(("plain", "twice", "backwards"))
        self.gateway.telling = self.rng.choice(("plain", "twice", "lost"))
        self.gateway.hold_costs = self.rng.random() < 0.5
        self.true.hidden_fills = min(self.rng.choice((0, 1, 3)), len(self.true.fills))
        if self.rng.random() < 0.5:
            self.gateway.drop()
            self.counts["connections dropped"] += 1
        self.counts["disturbed lists of fills"] += 1

    def calm(self) -> None:
        self.true.ahead, self.true.hidden_fills = timedelta(0), 0
        self.gateway.listing = self.gateway.telling = "plain"
        self.gateway.hold_costs = False

    # --- by hand ----------------------------------------------------------------------------

    def _sell(self) -> None:
        self._move()

    def _move(self) -> None:
        """Units come or go without a word."""
        held = {c: q for c, q in self.true.held.items() if q > 1}
        con_id = self.rng.choice(sorted(held)) if held else self.true.stock("ALFA").con_id
        now = held.get(con_id, D(0))
        moved = max(D(self.rng.choice((-5, 3))), -now) or D(4)
        self.true.held[con_id] = now + moved
        self.hand[self.true.listed[con_id].symbol] += moved  # type: ignore[assignment]
        self.counts["moved by hand"] += 1

    def _pay(self) -> None:
        self.hand_cash -= D("17.50")
        self.true.cash -= D("17.50")
        self.counts["paid by hand"] += 1


def provisioned(calendar: Any, root: Path) -> Path:
    """A bot at the gateway the day before its first session, its opening balance taken."""
    day = IbkrDay(calendar, None, root.parent, root.name)
    try:
        bot = day.open()
        opening = opening_commands(
            bot.settings, symbols=WORLD.SYMBOLS, deposit=None, at=day.clock.now(), demo=True
        )
        for command_id, commands in opening.items():
            bot.dispatch(*commands, command_id=command_id)
        assert reconcile(bot, None, "start").open_differences == ()
        bot.close()
    finally:
        day.close()
    return root
