"""Which strategy each phase of a day runs, and what becomes of one that runs none (M10, M20)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime

from aggregates.inverse_etfs import STREAM, InverseEtfs
from brokers.port import BrokerUnavailable
from runtime.bootstrap import Bot
from runtime.desk import Desk
from runtime.flatten import Flatten, only_in_books, take_reports
from runtime.guard import Guard
from runtime.health import Health
from runtime.instruments import register
from runtime.marks import quote_held
from runtime.outbox import Outbox
from runtime.strategy_phase import StrategyPhase
from screeners.port import ScreenerError
from strategies.installed import install, passed_over, running, short_type

STRATEGY_OF = {"open": "OPEN", "mid": "MID", "close": "CLOSE"}
Wait = Callable[[datetime], None]


def not_offered(bot: Bot) -> list[str]:
    """What the settings ask for and the broker does not offer, in words that say what to change."""
    settings, broker = bot.settings, bot.broker
    can, faults = broker.capabilities, list[str]()
    asked = {name: short_type(settings, name) for name in running(settings)}
    # SHORT_TYPE_…=LongPut or InverseETF: a broker without them could never do what is asked.
    offered = {"LongPut": can.long_put, "InverseETF": can.inverse_etf}
    faults += [
        f"SHORT_TYPE_{name} is {kind}, which {can.name} does not offer: change it under Settings."
        for name, kind in asked.items()
        if not offered.get(kind, True)
    ]
    # FRACTIONAL=true: parts of shares are bought, which this broker must be able to do.
    if settings.FRACTIONAL and not can.fractional:
        faults.append(f"FRACTIONAL is true, and {can.name} takes whole shares only: switch it off.")
    if not can.long_equity:
        faults.append(f"{can.name} does not offer long equity.")
    if "InverseETF" in asked.values():
        faults += _unknown_funds(bot)
    return faults


def _unknown_funds(bot: Bot) -> list[str]:
    """Raises BrokerUnavailable: then it is asked again."""
    mapped = bot.store.load(InverseEtfs, STREAM).mapped.values()
    return [
        f"{one.underlying} is mapped to the inverse ETF {one.etf}, which the broker does not "
        "trade: correct the mapping on the page Bearish."
        for one in mapped
        if (asset := bot.broker.asset(one.etf)) is None or not asset.tradable
    ]


class StrategyPhases:
    """The phases open, mid and close of one session. ``symbols_of`` names a strategy's candidates.

    ``until`` waits for a strategy's window, and does meanwhile what else is to be done.
    """

    def __init__(
        self,
        bot: Bot,
        desk: Desk,
        outbox: Outbox,
        guard: Guard,
        health: Health,
        symbols_of: Callable[[str], Sequence[str]],
        until: Wait,
    ) -> None:
        self._bot, self._desk, self._outbox, self._guard = bot, desk, outbox, guard
        self._health, self._symbols_of, self._until = health, symbols_of, until

    def self_check(self) -> dict[str, list[str]]:
        """Faults of each strategy that runs today, by its name (M10). One that a short day leaves
        no minute for entries is not run, as its phase will say: that is the calendar's doing."""
        settings, hours = self._bot.settings, self._desk.hours
        made = {n: install(n, settings, hours, (), hours.open) for n in running(settings)}
        windows = {name: strategy.window for name, strategy in made.items()}
        fit = [name for name, w in windows.items() if w.breakout_end > w.analysis_end]
        return {name: made[name].self_check() for name in fit}

    def run(self, phase: str, since: datetime) -> str:
        """The outcome in words. ``since`` is when the phase was begun: the same after a restart.

        Raises KillAsked.
        """
        name = STRATEGY_OF[phase]
        if why := passed_over(self._bot.settings, name):
            return f"{why}{self._sell_what_is_left()}"
        try:
            symbols = tuple(sorted(self._symbols_of(name)))
        except ScreenerError as e:
            return f"not run: no candidates. {e}{self._sell_what_is_left()}"
        strategy = install(name, self._bot.settings, self._desk.hours, symbols, since)
        if faults := strategy.self_check():  # the phases before it took too long
            return f"not run: {' '.join(faults)}{self._sell_what_is_left()}"
        register(self._bot, symbols)
        self._bot.views.catch_up_ledger()
        self._guard.watch(strategy.window)
        if phase != "open" and not self._desk.symbols:
            self._until(strategy.window.start)
        return StrategyPhase(
            phase, self._bot, self._desk, self._outbox, strategy, symbols, self._guard, self._health
        ).run()

    def last_reports(self, symbols: Iterable[str]) -> None:
        """After the close: fills and expiries of the last minutes, the last bars of ``symbols`` and
        of what is held, and the last quote of what is worth its bid."""
        take_reports(self._outbox)
        desk, broker = self._desk, self._bot.broker
        quote_held(broker, desk)
        for symbol in sorted({*symbols, *(desk.symbols - desk.quoted())}):
            known = desk.bars.get(symbol)
            since = known.end if known else desk.hours.open
            with suppress(BrokerUnavailable):
                for bar in broker.bars(symbol, since, desk.hours.close):
                    desk.bars[symbol] = bar

    def _sell_what_is_left(self) -> str:
        """What an earlier session could not sell is sold, whichever strategies run."""
        if not self._desk.symbols:
            return ""
        sold = Flatten(self._bot, self._desk, self._outbox, self._guard.wait_until).run(
            "carried over"
        )
        if not sold.flat:
            return f"; not flat: {sold.left}"
        return f"; {only_in_books(self._desk) or 'what was carried over is sold'}"
