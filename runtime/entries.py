"""What stands for and against one entry: its size, all that the rules look at, their verdicts."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from aggregates.blocklist import STREAM as BLOCKLIST
from aggregates.blocklist import Blocklist
from aggregates.control import STREAM as CONTROL
from aggregates.control import Control
from aggregates.session import Verdict
from brokers.port import Asset, BrokerUnavailable
from runtime.bootstrap import Bot
from runtime.desk import Desk
from runtime.health import Health
from runtime.vix import vix_level
from strategies.bearish import Instrument
from strategies.protocol import Signal, Strategy
from strategies.risk import check_entry
from strategies.risk_context import RiskContext, RiskInputs
from strategies.sizing import Sizing, size, weight_of


class Judged(NamedTuple):
    """``at`` is when it was judged, ``inputs`` everything that was looked at, as text."""

    at: datetime
    quantity: Decimal
    verdicts: tuple[Verdict, ...]
    inputs: dict[str, str]

    @property
    def taken(self) -> bool:
        return all(v.passed for v in self.verdicts)


class Wanted(NamedTuple):
    """What would be bought, and the symbol that gave the signal."""

    underlying: str
    symbol: str
    multiplier: int
    price: Decimal | None
    stop: Decimal | None


class Entries:
    """Judges the entries of one strategy in one session."""

    def __init__(self, bot: Bot, desk: Desk, strategy: Strategy, health: Health) -> None:
        self._bot, self._desk, self._strategy, self._health = bot, desk, strategy, health

    def judge(
        self, signal: Signal, trades_today: int, instrument: Instrument | None = None
    ) -> Judged:
        """All rules at once, on the worst case. What could not be learnt denies.

        ``instrument`` is what would be bought in the place of the signal's symbol (M11).

        By the clock when all is known, not by the minute: a live quote is newer than its bars.
        """
        wanted = _wanted(signal, instrument)
        asset = self._asset(wanted.symbol)
        step = self._step(asset)
        defense = self._bot.store.load(Control, CONTROL).defense  # the same for size and rules
        sizing = self._size(signal.strategy, wanted, step, defense)
        inputs = self._inputs(wanted, asset, sizing, trades_today, defense)
        at = self._bot.clock.now()
        context = RiskContext(
            settings=self._bot.settings,
            hours=self._desk.hours,
            strategy=self._strategy.name,
            symbol=signal.symbol,
            now=at,
            inputs=inputs,
        )
        text = inputs.as_text() | (_sized(sizing) if sizing else {})
        text["quantity_step"] = format(step, "f")
        return Judged(at, inputs.quantity, check_entry(context), text)

    def _step(self, asset: Asset | None) -> Decimal:
        """The smallest part of a share that can be bought; some are bought whole only."""
        step = self._bot.broker.capabilities.quantity_step
        return max(step, Decimal(1)) if asset is not None and not asset.fractionable else step

    def _size(self, strategy: str, wanted: Wanted, step: Decimal, defense: bool) -> Sizing | None:
        if wanted.price is None or wanted.stop is None:
            return None
        settings = self._bot.settings
        return size(
            settings,
            equity=self._desk.equity(),
            cash_float=self._desk.cash_float(),
            price=wanted.price * wanted.multiplier,
            stop=wanted.stop * wanted.multiplier,
            step=step,
            weight=weight_of(settings, strategy),
            defense=defense,
        )

    def _blocked(self, wanted: Wanted) -> str:
        blocklist = self._bot.store.load(Blocklist, BLOCKLIST)
        return blocklist.why(wanted.underlying) or blocklist.why(wanted.symbol)

    def _vix(self) -> Decimal | None:
        """Looked at for CLOSE alone, whose gate it is."""
        if self._strategy.name != "CLOSE":
            return None
        known = vix_level(self._bot, self._bot.clock.now())
        return known.level if known else None

    def _inputs(
        self,
        wanted: Wanted,
        asset: Asset | None,
        sizing: Sizing | None,
        trades_today: int,
        defense: bool,
    ) -> RiskInputs:
        desk, health, zero = self._desk, self._health, Decimal(0)
        quote = None
        with suppress(BrokerUnavailable):
            quote = self._bot.broker.quote(wanted.symbol)
        return RiskInputs(
            entries_blocked=health.entries_blocked(),
            unreachable_since=health.unreachable_since,
            open_differences=health.open_differences,
            clock_skew=health.clock_skew,
            behind_history=health.behind_history(),
            entry_deadline=self._strategy.window.breakout_end,
            equity=desk.equity(),
            equity_at_open=desk.equity_at_open(),
            realized_today=desk.realized_today(),
            unrealized_today=desk.unrealized(),
            open_exposure=desk.exposure(),
            open_positions=desk.open_positions(),
            trades_today=trades_today,
            cash_float=desk.cash_float(),
            tradable=None if asset is None else asset.tradable,
            halted=None if asset is None else asset.halted,
            held_long_term=wanted.symbol in desk.held_long_term,
            bid=quote.bid if quote else None,
            ask=quote.ask if quote else None,
            quote_known_at=quote.end if quote else None,
            volume=self._strategy.analysis_volume(wanted.underlying),
            price=wanted.price,
            stop=wanted.stop,
            usual_quantity=sizing.usual if sizing else zero,
            quantity=sizing.quantity if sizing else zero,
            instrument=wanted.symbol if wanted.symbol != wanted.underlying else "",
            multiplier=wanted.multiplier,
            vix=self._vix(),
            defense=defense,
            blocked=self._blocked(wanted),
        )

    def _asset(self, symbol: str) -> Asset | None:
        """A symbol that the broker does not know is told apart from a broker that does not answer
        by nothing: neither can be bought."""
        with suppress(BrokerUnavailable):
            return self._bot.broker.asset(symbol)
        return None


def _wanted(signal: Signal, instrument: Instrument | None) -> Wanted:
    if instrument is None:
        return Wanted(signal.symbol, signal.symbol, 1, signal.price, signal.stop)
    i = instrument
    return Wanted(signal.symbol, i.symbol, i.multiplier, i.price, i.stop)


def _sized(sizing: Sizing) -> dict[str, str]:
    return {
        "risk_per_share": format(sizing.risk_per_share, "f"),
        "quantity_by_risk": format(sizing.by_risk, "f"),
        "quantity_by_allocation": format(sizing.by_allocation, "f"),
        "quantity_by_cash": format(sizing.by_cash, "f"),
    }
