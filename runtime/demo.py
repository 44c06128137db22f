"""A throw-away bot that plays trading days: the live code under a virtual clock (rule 10).

Same seed, same data, same version: same head hash. The identity starts with DEMO; only a demo's
keys follow from a seed, and nothing but a demo ever writes into a demo's folder.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec

from aggregates.errors import DomainError, TradeBotError
from brokers.market_data import CsvMarketData, MarketData
from brokers.simulated import SimulatedBroker
from brokers.synthetic import SyntheticMarketData
from config.calendar import SessionHours, TradingCalendar
from config.clock import VirtualClock, from_micros
from config.paths import DataFolder
from config.settings import Settings, demo_settings
from eventstore.feed import Feed
from exporters.files import write_atomically
from exporters.trade_history import write_day
from projections.ledger_records import NOW
from runtime import logs
from runtime.bootstrap import Bot, open_store, provision
from runtime.build_check import log_fatal
from runtime.checkpoints import checkpoint_session, demo_seed
from runtime.event_log import EventLog, result_of
from runtime.supervisor import Supervisor

DEPOSIT = Decimal("100000.00")
SYNTHETIC_FROM = date(2026, 3, 2)
SYNTHETIC_DAYS = 5
SYNTHETIC_REFUSALS = Decimal("0.02")  # a share of orders that the demo's broker refuses at random


# OPEN alone is what a bot begins with. Here MID and CLOSE trade, too, and weakness buys puts.
ALL_STRATEGIES = {
    "STRAT_MID_ENABLED": "true",
    "STRAT_CLOSE_ENABLED": "true",
    "WEIGHT_OPEN": "0.4",
    "WEIGHT_MID": "0.3",
    "WEIGHT_CLOSE": "0.3",
    "SHORT_TYPE_OPEN": "LongPut",
    "SHORT_TYPE_MID": "LongPut",
    "SHORT_TYPE_CLOSE": "LongPut",
}


class DemoPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a demo was asked to play; kept in its folder so that it can go on.

    ``all_strategies``: OPEN, MID and CLOSE instead of OPEN alone, and puts on weakness.
    """

    seed: int
    bars: str
    first: date
    last: date
    symbols: tuple[str, ...]
    all_strategies: bool = False


Progress = Callable[[str, int, int], None]


def play(folder: DataFolder, plan: DemoPlan, progress: Progress) -> None:
    """Play every session of the plan that is not closed yet. Raises DomainError, MarketDataError.

    ``progress`` is told (what, sessions done, sessions in all).
    """
    settings = demo_settings(ALL_STRATEGIES if plan.all_strategies else None)
    calendar = TradingCalendar(settings.EXCHANGE_CALENDAR, plan.first, plan.last)
    sessions = calendar.sessions(plan.first, plan.last)
    market = _market(plan, sessions)
    _check_days(plan, sessions, market)
    _read_all(sessions, market)
    _claim(folder, plan)
    bot = _bot(folder, plan, settings, calendar, market)
    try:
        _play_sessions(bot, plan, sessions, market.symbols(), progress)
    except TradeBotError as e:
        log_fatal(folder, bot.clock.now(), type(e).__name__, str(e))
        raise
    finally:
        bot.close()


def _play_sessions(
    bot: Bot,
    plan: DemoPlan,
    sessions: list[SessionHours],
    symbols: tuple[str, ...],
    progress: Progress,
) -> None:
    folder, settings = bot.folder, bot.settings
    start = _day_before(bot.calendar, plan)
    provision(bot, symbols=symbols, deposit=DEPOSIT, at=start, demo=True)
    supervisor = Supervisor(bot, symbols)
    logs.use(folder, settings)
    log = EventLog(
        folder, bot.identity, bot.views.feed, settings.BROKER_CODE, result_of(bot.views)
    )  # fmt: skip
    for number, hours in enumerate(sessions):
        progress(f"{hours.day:%a %Y-%m-%d}", number, len(sessions))
        supervisor.run_session(hours)
        log.follow_all()
        write_day(
            folder.trades(bot.identity),
            folder.summaries(bot.identity),
            bot.identity,
            hours.day,
            bot.views.trading,
            NOW,
            settings.BROKER_CODE,
        )
        checkpoint_session(folder, bot.views, hours.day, demo_seed(plan.seed))
    progress("done", len(sessions), len(sessions))


def plan_of(
    bars: Path | None, first: date | None, last: date | None, symbols: tuple[str, ...], seed: int
) -> DemoPlan:
    """The plan for these options. Without bars: five synthetic days."""
    if bars is not None:
        days = CsvMarketData(bars, symbols or None).days()
        chosen = [d for d in days if (not first or d >= first) and (not last or d <= last)]
        if not chosen:
            raise DomainError(
                f"{bars} has no day between {first or 'the first'} and {last or 'the last'} on "
                f"which every symbol has data; it holds {', '.join(map(str, days)) or 'none'}. "
                "Nothing was written."
            )
        return DemoPlan(
            seed=seed,
            bars=str(bars.resolve()),
            first=first or chosen[0],
            last=last or chosen[-1],
            symbols=symbols,
        )
    start = first or SYNTHETIC_FROM
    if last is None:
        calendar = TradingCalendar("XNYS", start, start + timedelta(days=14))
        week = calendar.sessions(start, start + timedelta(days=14))
        last = week[SYNTHETIC_DAYS - 1].day
    return DemoPlan(seed=seed, bars="", first=start, last=last, symbols=symbols)


def _market(plan: DemoPlan, sessions: list[SessionHours]) -> MarketData:
    if plan.bars:
        return CsvMarketData(Path(plan.bars), plan.symbols or None)
    if plan.symbols:
        return SyntheticMarketData(plan.seed, sessions, plan.symbols)
    return SyntheticMarketData(plan.seed, sessions)


def _check_days(plan: DemoPlan, sessions: list[SessionHours], market: MarketData) -> None:
    if not sessions:
        raise DomainError(
            f"There is no trading session from {plan.first} to {plan.last}. Nothing was written; "
            "choose days on which the exchange is open."
        )
    days = set(market.days())
    missing = [str(s.day) for s in sessions if s.day not in days]
    if missing:
        raise DomainError(
            f"There is no data for the session(s) {', '.join(missing)} for every symbol. Nothing "
            "was written; choose --from and --to within the data, or fewer --symbols."
        )


def _read_all(sessions: list[SessionHours], market: MarketData) -> None:
    """Read every day before anything is written, so that bad data stops the start, not the week."""
    for hours in sessions:
        for symbol in market.symbols():
            market.bars(symbol, hours.day)
            market.quotes(symbol, hours.day)


def _claim(folder: DataFolder, plan: DemoPlan) -> None:
    """Write the plan first; refuse a folder that holds something else."""
    if folder.demo.exists():
        found = msgspec.json.decode(folder.demo.read_bytes(), type=DemoPlan)
        if found != plan:
            raise DomainError(
                f"{folder.root} holds a demo with other options ({_words(found)}). Nothing was "
                "changed; use another --data-dir, or the same options to go on with it."
            )
        return
    if folder.events.exists():
        raise DomainError(
            f"{folder.root} holds the books of a bot that is no demo. Nothing was changed; a demo "
            "needs a --data-dir of its own."
        )
    folder.root.mkdir(parents=True, exist_ok=True)
    # Real bars come with no VIX: then it is not known, and CLOSE says so and buys nothing.
    if plan.all_strategies and not plan.bars:
        folder.vix.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(folder.vix, _invented_vix(plan).encode())
    write_atomically(folder.demo, msgspec.json.format(msgspec.json.encode(plan)) + b"\n")


def _invented_vix(plan: DemoPlan) -> str:
    """A close for each session from the one before the first; some are below the gate of CLOSE."""
    calendar = TradingCalendar("XNYS", plan.first - timedelta(days=10), plan.last)
    lines = ["at,level"]
    for hours in calendar.sessions(plan.first - timedelta(days=10), plan.last):
        drawn = hashlib.sha256(f"tradebot demo VIX {plan.seed} {hours.day}".encode()).digest()
        lines.append(f"{hours.day},{18 + drawn[0] % 10}.{drawn[1] % 100:02}")
    return "\n".join(lines) + "\n"


def _words(plan: DemoPlan) -> str:
    return ", ".join(f"{k} {v}" for k, v in json.loads(msgspec.json.encode(plan)).items() if v)


def remove_demo(folder: DataFolder) -> None:
    """Throw a demo's folder away; anything that is no demo is refused."""
    if not folder.root.exists():
        return
    if not folder.demo.exists():
        raise DomainError(f"{folder.root} is no demo's folder; nothing was removed.")
    shutil.rmtree(folder.root)


def _day_before(calendar: TradingCalendar, plan: DemoPlan) -> datetime:
    """The close of the session before the first one: the bot is provisioned then."""
    return calendar.sessions(plan.first - timedelta(days=10), plan.first - timedelta(days=1))[
        -1
    ].close


def _bot(
    folder: DataFolder,
    plan: DemoPlan,
    settings: Settings,
    calendar: TradingCalendar,
    market: MarketData,
) -> Bot:
    """Wire a demo bot whose clock stands where its history and its broker stopped."""
    key = hashlib.sha256(f"tradebot demo blind {plan.seed}".encode()).digest()
    clock = VirtualClock(_day_before(calendar, plan))
    open_store(folder, clock, key).close()  # lays the tables, so that the head can be read
    feed = Feed(folder.events)
    clock.wait_until(from_micros(feed.head().recorded_at))
    feed.close()
    folder.simulated_broker.parent.mkdir(parents=True, exist_ok=True)
    broker = SimulatedBroker(
        folder.simulated_broker,
        market,
        clock,
        calendar,
        currency=settings.CURRENCY_CODE,
        starting_cash=DEPOSIT,
        seed=plan.seed,
        # synthetic days show refusals too; real ones are played as they were
        reject_share=Decimal(0) if plan.bars else SYNTHETIC_REFUSALS,
    )
    clock.wait_until(broker.processed_until())
    return Bot(folder, settings, clock=clock, broker=broker, calendar=calendar, fresh_blind_key=key)
