"""Short trading days at the fake Alpaca: the whole bot over real sockets, faults from a seed.

Time is virtual. Waiting plays what happens meanwhile, each thing at its moment: bars, trades,
requests that arrive late, halts, what somebody does by hand. Requests and answers are real.
"""

import random
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from brokers.alpaca import Access, AlpacaBroker
from brokers.port import ApiAction, BrokerUnavailable, OutcomeUnknown
from config import failpoints
from config.paths import DataFolder
from config.setting_forms import Secret
from config.settings import demo_settings
from runtime.bootstrap import Bot, opening_commands
from runtime.guard import KillOrder, Unwatched
from runtime.reconciliation import reconcile
from runtime.supervisor import StartRefused, Supervisor

D = Decimal
MINUTE = timedelta(minutes=1)
MOST_STARTS = 120
CALM = 40  # minutes after the open: on most days nothing goes wrong any more
LATEST = 25.0  # seconds after which a request may still arrive; the bot believes nothing for 30
TIMEOUT_S, MOST_MUTE = 0.1, 3  # the only real waiting of a day
ON_ORDERS = (
    "mute_before", "mute_after", "late", "reset_before", "reset_after", "504_before", "504_after",
    "malformed_after", "empty", "429", "gateway_404",
)  # fmt: skip
ON_READS = (
    "504_before", "429", "malformed_after", "empty", "reset_before", "reset_after", "mute_before",
    "gateway_404",
)  # fmt: skip
MANY_STEPS = 400


class Parts(NamedTuple):
    """Modules beside the tests, which are no package."""

    fakes: Any
    world: Any  # small_world
    market: Any  # day_market


class Killed(BaseException):
    """SIGKILL, in process: nothing handles it, and only the disk outlives it."""


class Listening(Unwatched):
    """Fetches the stream's news with each wait. A person may ask for a kill at one moment."""

    def __init__(self, day: "Day") -> None:
        super().__init__(day.clock)
        self._day = day

    def wait_until(self, moment: datetime) -> KillOrder | None:
        super().wait_until(moment)
        day = self._day
        if day.streams:
            day.counts["updates of the stream"] += len(day.broker.news().orders)
        if day.kill_at is None or day.clock.now() < day.kill_at:
            return None
        day.kill_at = None
        return KillOrder("page", "somebody asked for it")


def provisioned(parts: Parts, calendar: Any, root: Path) -> Path:
    """A bot at Alpaca the day before its first session, its opening balance taken."""
    day = Day(parts, calendar, None, root.parent, root.name)
    try:
        bot = day.open()
        opening = opening_commands(
            bot.settings, symbols=parts.world.SYMBOLS, deposit=None, at=day.clock.now(), demo=True
        )
        for command_id, commands in opening.items():
            bot.dispatch(*commands, command_id=command_id)
        assert reconcile(bot, None, "start").open_differences == ()
        bot.close()
    finally:
        day.close()
    return root


class Day:
    """``template`` is a provisioned bot's folder, copied; None before there is one.

    ``parts`` are the modules beside the tests: ``fakes``, small_world and day_market.
    ``hand`` is what the script moved at the broker, by symbol, and ``hand_cash`` in dollars.
    """

    def __init__(
        self, parts: Parts, calendar: Any, template: Path | None, root: Path, seed: Any
    ) -> None:
        self.fakes, self.world, market = parts
        self.calendar, self.seed, world = calendar, seed, parts.world
        self.rng = random.Random(f"day {seed}")
        self.counts: Counter[str] = Counter()
        self.folder = DataFolder(root / str(seed))
        if template is not None:
            shutil.copytree(template, self.folder.root)
        (self.hours,) = calendar.sessions(world.DAY, world.DAY)
        before = timedelta(hours=1) if template is not None else timedelta(days=1)
        self.clock = market.PlayedClock(self.hours.open - before, self.quiet)
        self.answered = 0
        self.hand: Counter[str] = Counter()
        self.hand_cash = D(0)
        self.late: set[str] = set()  # symbols that were filled after a cancellation
        self._fake()
        self._draw_the_day(calm=template is None)
        played = market.PlayedMarket(self.clock, self.books, self.server, self.rng)
        played.play(world.SmallMarket(seed, self.hours.open), self.hours)
        self.broker = self._adapter()

    def _fake(self) -> None:
        self.books = books = self.fakes.books.Books()
        books.clock = self.clock.now
        books.new_id = lambda: uuid.UUID(int=self.rng.getrandbits(128))
        self.server = self.fakes.server.AlpacaServer(books, hold_s=2.4 * TIMEOUT_S)
        self.server.take_fault = self.draw
        self.server.later = self._arrive_late
        self._cancel, books.cancel = books.cancel, self._cancel_too_late
        for symbol in self.world.SYMBOLS:
            books.list_asset(symbol)

    def _adapter(self) -> AlpacaBroker:
        key_id, secret = self.server.keys
        access = Access(
            key_id=Secret(key_id), secret=Secret(secret), paper=True, timeout_s=TIMEOUT_S,
            retries=self.retries, trading_url=self.server.url, data_url=self.server.url,
            stream_url=self.server.stream_url,
        )  # fmt: skip
        first = self.hours.open - timedelta(days=7)
        return AlpacaBroker(access, self.clock, self.calendar, fills_from=first, tell=self._told)

    def _told(self, action: ApiAction) -> None:
        self.answered += action.method != "STREAM"

    def quiet(self) -> None:
        """What was given up here has arrived there, as it has long before virtual seconds pass."""
        until = time.monotonic() + 2
        while self.answered > len(self.server.asked) or self.server.pending > self.server.held:
            if time.monotonic() > until:
                self.counts["requests that never left"] += self.answered - len(self.server.asked)
                self.answered = len(self.server.asked)
                return
            time.sleep(0.0005)

    def close(self) -> None:
        self.broker.close()
        self.server.close()

    # --- what goes wrong --------------------------------------------------------------------

    def _draw_the_day(self, calm: bool) -> None:
        rng, self.mute = self.rng, 0
        self.calm_early = rng.random() < 0.8
        minutes = CALM if self.calm_early else 75
        self.calm_from = self.hours.open + timedelta(minutes=minutes)
        self.on_reads = 0.0 if calm else rng.choice((0.01, 0.03, 0.08))
        self.on_orders = 0.0 if calm else rng.choice((0.2, 0.4, 0.6))
        self.retries = rng.choice((0, 1, 2))
        self.kills_left = rng.choice((0, 1, 1, 2))
        self.streams = not calm and rng.random() < 0.3
        self.kill_at = self._moment(0, 40) if not calm and rng.random() < 0.08 else None
        self.outage = self.hours.open, self.hours.open
        if calm:
            return
        if rng.random() < 0.25:
            began = self._moment(0, 35)
            self.outage = began, began + timedelta(seconds=rng.choice((20, 90, 300)))
        if rng.random() < 0.2:
            self._skew(self._moment(-5, 20), rng.choice((2, -4, 40, -40)))
        if rng.random() < 0.3:
            self._halt(rng.choice(self.world.SYMBOLS), self._moment(3, 30))
        if rng.random() < 0.2:
            by_hand = rng.choice((self._sell, self._sell, self._move, self._pay))
            self.clock.at(self._moment(6, 30), by_hand)
        for _ in range(rng.choice((0, 1, 3))):
            self.clock.at(self._moment(5, 38), self._disturb)
        self.clock.at(self.calm_from, self.calm)

    def _moment(self, first: int, last: int) -> datetime:
        opens: datetime = self.hours.open
        return opens + timedelta(seconds=self.rng.randrange(60 * first, 60 * last))

    def draw(self, method: str, path: str) -> Any:
        """The fault of one request, or None. In the server's threads, one request at a time."""
        now, rng = self.clock.now(), self.rng
        if now >= self.calm_from:
            return None
        if self.outage[0] <= now < self.outage[1]:
            return self._fault(rng.choice(("504_before", "reset_before")), method, path)
        reads = method == "GET"
        if rng.random() >= (self.on_reads if reads else self.on_orders):
            return None
        kind = rng.choice(ON_READS if reads else ON_ORDERS)
        if kind.startswith("mute"):
            self.mute += 1
            kind = kind if self.mute <= MOST_MUTE else kind.replace("mute", "reset")
        return self._fault(kind, method, path)

    def _fault(self, kind: str, method: str, path: str) -> Any:
        self.counts[f"faults: {kind} of {'orders' if method != 'GET' else 'questions'}"] += 1
        return self.fakes.server.Fault(kind, method, path, 1, self.rng.choice((0, 3, 40)))

    def _arrive_late(self, answer: Callable[[], Any]) -> None:
        after = timedelta(seconds=self.rng.uniform(0.1, LATEST))
        self.clock.at(self.clock.now() + after, answer)

    def _cancel_too_late(self, number: str) -> Any:
        """Some cancellations do not catch what is on its way to the exchange."""
        answer, order = self._cancel(number), self.books.orders.get(number)
        left = D(order["qty"]) - D(order["filled_qty"]) if order else D(0)
        calm = self.clock.now() >= self.calm_from
        if answer[0] == 204 and left > 1 and not calm and self.rng.random() < 0.3:
            name, after = order["client_order_id"], timedelta(seconds=self.rng.uniform(0.1, 20))
            fill = lambda: self.books.fill(name, D(1), late=True)  # noqa: E731
            self.clock.at(self.clock.now() + after, fill)
            self.late.add(order["symbol"])
            self.counts["fills after a cancellation"] += 1
        return answer

    def _skew(self, began: datetime, seconds: int) -> None:
        def set_clock(ahead: timedelta) -> None:
            self.books.ahead = ahead

        self.counts["clocks that differed"] += 1
        self.clock.at(began, lambda: set_clock(timedelta(seconds=seconds)))
        ended = began + timedelta(minutes=self.rng.choice((3, 8, 20)))
        self.clock.at(ended, lambda: set_clock(timedelta(0)))

    def _halt(self, symbol: str, began: datetime) -> None:
        def halted(yes: bool) -> None:
            self.books.assets[symbol]["tradable"] = not yes
            self.server.status(symbol, "H" if yes else "T")

        self.counts["halts"] += 1
        self.clock.at(began, lambda: halted(True))
        ended = began + timedelta(minutes=self.rng.choice((1, 4, 12)))
        self.clock.at(ended, lambda: halted(False))

    def _disturb(self) -> None:
        """What is told of fills, and the stream."""
        self.server.fill_listing = self.rng.choice(("plain", "twice", "backwards"))
        self.books.hidden_fills = min(self.rng.choice((0, 1, 3)), len(self.books.fills))
        self.server.stream_mode = self.rng.choice(("plain", "garbled", "twice", "lost"))
        if self.streams and self.rng.random() < 0.5:
            self.server.drop_streams()
            self.counts["streams dropped"] += 1
        self.counts["disturbed lists of fills"] += 1

    def calm(self) -> None:
        self.books.ahead = timedelta(0)
        self.server.stream_mode = self.server.fill_listing = "plain"
        self.books.hidden_fills = 0

    # --- by hand ----------------------------------------------------------------------------

    def _held(self) -> tuple[str, Decimal]:
        held = {symbol: q for symbol, q in self.books.positions.items() if q > 1}
        symbol = self.rng.choice(sorted(held)) if held else self.world.SYMBOLS[0]
        return symbol, held.get(symbol, D(0))

    def _sell(self) -> None:
        """Somebody sells a part of what the bot holds, or all, at the broker's own page."""
        symbol, held = self._held()
        if not held and self.clock.now() < self.hours.open + 30 * MINUTE:
            self.clock.at(self.clock.now() + MINUTE, self._sell)
        name, quantity = f"hand-{self.seed}", min(held, D(self.rng.choice((1, 7, 10_000))))
        body = {
            "client_order_id": name, "symbol": symbol, "qty": str(quantity), "side": "sell",
            "type": "market", "time_in_force": "day",
        }  # fmt: skip
        if quantity and self.books.submit(body)[0] == 200:
            self.books.fill(name, quantity)
            self.hand[symbol] -= quantity  # type: ignore[assignment]
            self.hand_cash += quantity * self.books.prices[symbol][0]
            self.counts["sold by hand"] += 1

    def _move(self) -> None:
        """Units come or go without a word."""
        symbol, held = self._held()
        moved = max(D(self.rng.choice((-5, 3))), -held) or D(4)
        self.books.positions[symbol] = held + moved
        self.hand[symbol] += moved  # type: ignore[assignment]
        self.counts["moved by hand"] += 1

    def _pay(self) -> None:
        self.hand_cash -= D("17.50")
        self.books.cash -= D("17.50")
        self.counts["paid by hand"] += 1

    # --- the day ----------------------------------------------------------------------------

    def run(self) -> None:
        """Processes one after another, until one has closed the session."""
        for _ in range(MOST_STARTS):
            if self._process():
                return
            self.counts["restarts"] += 1
            downtime = self.rng.choice((0, 0, 0, 1, 3))
            self.broker.close()
            self.clock.wait_until(self.clock.now() + timedelta(minutes=downtime, seconds=1))
            self.broker = self._adapter()
        raise AssertionError(f"not closed after {MOST_STARTS} starts")

    def _process(self) -> bool:
        """One process from its start to its end; whether the session is closed then."""
        bot = self.open()
        try:
            self._arm()
            Supervisor(bot, self.world.SYMBOLS, Listening(self)).run_session(self.hours)
        except Killed:
            return False
        except (BrokerUnavailable, OutcomeUnknown, StartRefused) as e:
            # it ends, is started again a minute later, and goes on where it stood
            self.counts[f"processes ended by {type(e).__name__}"] += 1
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
        names = [s for s in failpoints.STEPS if s.startswith(("outbox.", "kill."))]
        name = self.rng.choice(names) if self.rng.random() < 0.7 else ""
        left = self.rng.choice((1, 1, 2, 3)) if name else self.rng.randrange(1, MANY_STEPS)

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
            self.folder, demo_settings(self.world.SETTINGS), clock=self.clock, broker=self.broker,
            calendar=self.calendar, fresh_blind_key=bytes(32),
        )  # fmt: skip

    def last_look(self) -> tuple[Bot, Any]:
        """Before the next session, with a broker that answers: the bot, to be closed, and what
        the reconciliation came to."""
        self.clock.wait_until(self.hours.close + timedelta(hours=17))
        self.calm()
        bot = self.open()
        return bot, reconcile(bot, None, "start")
