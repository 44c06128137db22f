"""Years of long-term holdings on a throw-away bot: the real holdings phase, day after day.

Prices are daily ones, from a file or made up by the seed. Trading is one made-up security that is
bought and sold within a morning by real orders: its gains and losses are what the phase sets aside.
Same seed, same prices, same version: same head hash.

It is played in memory where there is a folder for that, as thousands of commits need not survive a
fall of the machine, and appears in its place whole or not at all.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import msgspec

from aggregates.errors import DomainError
from aggregates.holdings_plan import Plan, PlannedSecurity, SavePlan
from brokers.daily_data import DailyMarket, DayPrices, read_daily, walk
from brokers.simulated import SimulatedBroker
from config.calendar import SessionHours, TradingCalendar
from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import demo_settings
from exporters.files import write_atomically
from runtime.bootstrap import Bot, provision
from runtime.holdings_demo_day import EDGE, EDGE_PRICE, MINUTES, TURN, Day
from runtime.reconciliation import Reconciler

DEPOSIT = Decimal("100000.00")
SYNTHETIC = {"GROA": (5_000, 450, 9_000), "WRLB": (4_200, 300, 8_000), "BNDC": (8_000, 60, 2_000),
             "SAFE": (10_000, 100, 300)}  # fmt: skip
REAL = ("QQQ", "VXUS", "BNDX", "VCIT")  # funds of a file of daily prices, and no splits among them
FIRST, LAST = date(2024, 1, 2), date(2025, 12, 31)
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it  # nosec B108
SETTINGS = {"HOLDINGS_ENABLED": "true", "HOLDINGS_DELAY_MINUTES": "10"}

Progress = Callable[[str, int, int], None]


class HoldingsDemo(msgspec.Struct, frozen=True, kw_only=True):
    """What was played; kept in the folder, as every demo does. ``prices`` is a file, or empty."""

    kind: str = "holdings"
    seed: int
    prices: str
    first: date
    last: date
    symbols: tuple[str, ...]
    bars: str = ""

    @property
    def plan(self) -> Plan:
        """40 % for the first, the other two share the rest; the fourth holds the tax reserve."""
        first, second, third, safe = self.symbols
        return Plan(
            securities=(
                PlannedSecurity(first, Decimal(40)),
                PlannedSecurity(second, None),
                PlannedSecurity(third, None),
            ),
            tax_vehicle=safe,
            sweep=True,
        )


def demo_of(
    seed: int, prices: Path | None, first: date | None = None, last: date | None = None
) -> HoldingsDemo:
    """Two years; of a file, all that it has. Raises MarketDataError, DomainError."""
    begin, end, symbols = first or FIRST, last or LAST, tuple(SYNTHETIC)
    if prices is not None:
        days = sorted(read_daily(prices, REAL)[REAL[0]])
        begin, end, symbols = first or days[0], last or days[-1], REAL
    calendar = TradingCalendar("XNYS", begin, end) if begin <= end else None
    if calendar is None or not calendar.sessions(begin, end):
        raise DomainError(f"There is no session from {begin} to {end}. Nothing was written.")
    named = str(prices.resolve()) if prices else ""
    return HoldingsDemo(seed=seed, prices=named, first=begin, last=end, symbols=symbols)


def play(folder: DataFolder, demo: HoldingsDemo, progress: Progress) -> None:
    """Play every session. Raises DomainError for a folder that is there already, MarketDataError.

    ``progress`` is told (what, sessions done, sessions in all).
    """
    if folder.root.exists() and any(folder.root.iterdir()):
        raise DomainError(
            f"{folder.root} is not empty. Nothing was changed; give a --data-dir that is new."
        )
    fast = IN_MEMORY if IN_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="tradebot-demo-", dir=fast) as place:
        played = DataFolder(Path(place) / "demo")
        _play(played, demo, progress)
        folder.root.parent.mkdir(parents=True, exist_ok=True)
        partial = folder.root.with_name(f"{folder.root.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(played.root, partial)
        partial.replace(folder.root)


def _play(folder: DataFolder, demo: HoldingsDemo, progress: Progress) -> None:
    settings = demo_settings(SETTINGS)
    before = demo.first - timedelta(days=10)
    calendar = TradingCalendar(settings.EXCHANGE_CALENDAR, before, demo.last)
    sessions = calendar.sessions(demo.first, demo.last)
    market = _market(demo, sessions)
    start = calendar.sessions(before, demo.first - timedelta(days=1))[-1].close
    clock = VirtualClock(start)
    write_atomically(folder.demo, msgspec.json.format(msgspec.json.encode(demo)) + b"\n")
    folder.simulated_broker.parent.mkdir(parents=True, exist_ok=True)
    broker = SimulatedBroker(
        folder.simulated_broker, market, clock, calendar, currency=settings.CURRENCY_CODE,
        starting_cash=DEPOSIT, seed=demo.seed,
    )  # fmt: skip
    key = hashlib.sha256(f"tradebot demo blind {demo.seed}".encode()).digest()
    bot = Bot(folder, settings, clock=clock, broker=broker, calendar=calendar, fresh_blind_key=key)
    try:
        provision(bot, symbols=market.symbols(), deposit=DEPOSIT, at=start, demo=True)
        plan = SavePlan(at=start, effective_date=bot.today(), plan=demo.plan, seen=0)
        bot.dispatch(plan, command_id="demo:plan")
        reconciler = Reconciler(bot)
        for number, hours in enumerate(sessions):
            progress(f"{hours.day:%b %Y}", number, len(sessions))
            Day(bot, hours, reconciler, demo.seed).play()
        progress("done", len(sessions), len(sessions))
    finally:
        bot.close()
        broker.close()


def _market(demo: HoldingsDemo, sessions: list[SessionHours]) -> DailyMarket:
    days = [hours.day for hours in sessions]
    prices: dict[str, dict[date, DayPrices]]
    if demo.prices:
        prices = read_daily(Path(demo.prices), REAL)
    else:
        made = {symbol: Random(f"{demo.seed} {symbol}") for symbol in SYNTHETIC}  # noqa: S311 # nosec B311 - a demo
        prices = {s: walk(made[s], days, *how) for s, how in SYNTHETIC.items()}
    prices[EDGE] = _edge(demo.seed, days)
    named = Path(demo.prices).name if demo.prices else f"synthetic, seed {demo.seed}"
    return DailyMarket(prices, sessions, MINUTES, {EDGE: TURN}, named)


def _edge(seed: int, days: list[date]) -> dict[date, DayPrices]:
    """A morning's move of -3 % to +3.6 %: more gains than losses, and losses all the same."""
    rng = Random(f"{seed} {EDGE}")  # noqa: S311 # nosec B311 - a demo
    opened = Decimal(EDGE_PRICE)
    moves = {day: sum(rng.randint(-100, 120) for _ in range(3)) for day in days}
    return {day: DayPrices(opened, opened + opened * bp / 10_000) for day, bp in moves.items()}
