"""The adapter to Alpaca, paper or live by its address (decision 0022).

alpaca-py knows addresses, headers, paths and the stream; time-outs, exact numbers, what may be
repeated and what an answer means are ours (``alpaca_http``, ``alpaca_wire``, ``alpaca_answers``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote as quoted

import msgspec
from alpaca.trading.client import TradingClient

from aggregates.market import Bar, IndexLevel, OptionContract, Quote
from aggregates.occ import occ_terms
from brokers.alpaca_data import AlpacaData
from brokers.alpaca_fills import AlpacaFills
from brokers.alpaca_halts import AlpacaHalts
from brokers.alpaca_http import Keys, Wire
from brokers.alpaca_options import AlpacaOptions
from brokers.alpaca_orders import AlpacaOrders
from brokers.alpaca_stream import AlpacaStream
from brokers.alpaca_wire import account, asset, position, server_time
from brokers.http_fields import rows
from brokers.http_wire import Tell
from brokers.port import (
    MAX_SKEW,
    Account,
    Activity,
    Asset,
    BrokerOrder,
    BrokerPosition,
    Capabilities,
    Execution,
    News,
    OrderRequest,
    SessionCalendar,
)
from config.clock import Clock
from config.setting_forms import Secret

BUYS_OPTIONS = 2  # the level from which on Alpaca lets an account buy puts


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how. Addresses are None for Alpaca's own; ``timeout_s`` is for each answer.

    ``stream_url`` is that of trade updates; market data is streamed from ``data_url``, too.
    ``settle_s``: how long after an unclear answer an order may still turn up at Alpaca.
    ``options_feed`` is opra or indicative, None for the best that the account has; ``puts``: the
    settings ask for puts, so the self check looks whether the account may buy them.
    """

    key_id: Secret
    secret: Secret
    paper: bool
    timeout_s: float
    retries: int
    feed: str = "iex"
    options_feed: str | None = None
    puts: bool = False
    settle_s: float = 30.0
    trading_url: str | None = None
    data_url: str | None = None
    stream_url: str | None = None


class AlpacaBroker:
    """Implements ``brokers.port.Broker``. For one thread; each stream runs in one of its own.

    ``fills_from`` is where executions begin (UTC): early enough for every order that is open.
    ``tell`` gets every request for the log; ``wake`` is called when the stream has news.
    """

    def __init__(
        self,
        access: Access,
        clock: Clock,
        calendar: SessionCalendar,
        *,
        fills_from: datetime,
        tell: Tell,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        keys = Keys(access.key_id, access.secret)
        self._clock, self._tell = clock, tell
        self._wire = Wire(keys, access.timeout_s, access.retries, clock, tell)
        self._client = TradingClient(
            keys.key_id.reveal(), keys.secret.reveal(), paper=access.paper, raw_data=True,
            url_override=access.trading_url,
        )  # fmt: skip
        self._client._session = self._wire
        self._data = AlpacaData(self._wire, keys, access.data_url, access.feed, clock)
        self._options = AlpacaOptions(
            self._wire, self._client, keys, access.data_url, access.options_feed
        )
        self._puts = access.puts
        self._orders = AlpacaOrders(self._wire, self._client, clock, access.settle_s)
        self._fills = AlpacaFills(
            self._wire, self._client.get, self._orders.client_id, calendar, fills_from
        )
        self._stream = AlpacaStream(
            keys, access.paper, access.stream_url, access.timeout_s, wake=wake
        )
        self._halts = AlpacaHalts(keys, access.feed, access.data_url, access.timeout_s, clock)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            name="alpaca",
            fractional=True,
            quantity_step=Decimal("0.000000001"),
            order_types=frozenset({"market", "limit", "stop"}),
            long_equity=True,
            inverse_etf=True,
            long_put=True,
            simulated=False,
            bars_after=timedelta(seconds=3),  # the last trades of a minute come in after its end
            requests_per_minute=200,  # of an account, as Alpaca documents it
        )

    # --- the account ------------------------------------------------------------------------

    def self_check(self) -> Sequence[str]:
        """Keys, account, clock and market data; refused keys raise KeysRefused."""
        found = self._wire.read("the account", lambda: account(self._client.get_account()))
        faults = [f"{fault} Change it there before trading." for fault in found.faults]
        if found.currency != "USD":
            faults.append(f"The account is in {found.currency}; only USD is known here.")
        # puts are asked for by SHORT_TYPE_*=LongPut: then the account must be approved for them
        if self._puts and found.options_level < BUYS_OPTIONS:
            faults.append(
                f"The settings ask for puts, and the account may not buy them (its options level "
                f"at Alpaca is {found.options_level}, {BUYS_OPTIONS} is needed). Apply for it "
                "there, or change SHORT_TYPE_*."
            )
        asked = self._clock.now()
        skew = self.clock() - asked
        under_way = self._clock.now() - asked  # of this much nobody knows on which way it was spent
        if abs(skew) - under_way > MAX_SKEW:
            faults.append(
                f"This machine's clock and Alpaca's differ by {skew.total_seconds():.0f} seconds. "
                "Set this machine's clock right."
            )
        market = self._data.fault()
        return faults + ([market] if market else []) + self._fills.contradictions

    def clock(self) -> datetime:
        return self._wire.read("its clock", lambda: server_time(self._client.get_clock()))

    def account(self) -> Account:
        """Cash as Alpaca states it: trades count at once, not when they settle."""
        found = self._wire.read("the account", lambda: account(self._client.get_account()))
        return Account(currency=found.currency, cash=found.cash)

    def positions(self) -> Sequence[BrokerPosition]:
        found = self._wire.read(
            "the positions",
            lambda: [position(r) for r in rows(self._client.get_all_positions(), "positions")],
        )
        return sorted(found, key=lambda one: one.symbol)

    def asset(self, symbol: str) -> Asset | None:
        """``halted`` by the market data stream, None where it has not said."""
        if occ_terms(symbol):
            return self._options.asset(symbol)
        self._watch_halts()
        path = f"/assets/{quoted(symbol, safe='')}"
        found = self._wire.find(f"about {symbol}", lambda: asset(self._client.get(path)))
        halted = self._halts.halted(symbol)
        return None if found is None else msgspec.structs.replace(found, halted=halted)

    # --- orders -----------------------------------------------------------------------------

    def submit(self, request: OrderRequest) -> BrokerOrder:
        return self._orders.submit(request)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        return self._orders.order(client_order_id)

    def open_orders(self) -> Sequence[BrokerOrder]:
        return self._orders.open_orders()

    def cancel(self, client_order_id: str) -> None:
        self._orders.cancel(client_order_id)

    # --- fills and news ---------------------------------------------------------------------

    def fills_since(self, sequence: int) -> Sequence[Execution]:
        return self._fills.since(sequence)

    def activities(self, first: date) -> Sequence[Activity]:
        return self._fills.activities(first)

    def news(self) -> News:
        """The first call opens the stream."""
        self._watch_halts()
        self._stream.start()
        return self._stream.news()

    # --- market data ------------------------------------------------------------------------

    def quote(self, symbol: str) -> Quote | None:
        return self._options.quote(symbol) if occ_terms(symbol) else self._data.quote(symbol)

    def bars(self, symbol: str, start: datetime, end: datetime) -> Sequence[Bar]:
        self._watch_halts()
        return self._data.bars(symbol, start, end)

    def option_chain(self, underlying: str, first: date, last: date) -> Sequence[OptionContract]:
        return self._options.chain(underlying, first, last)

    def index(self, symbol: str) -> IndexLevel | None:  # noqa: ARG002 - of the port
        """None ever: Alpaca has no indices."""
        return None

    def _watch_halts(self) -> None:
        """From the first question on that a day of trading asks; what became of it is logged."""
        self._halts.start()
        for action in self._halts.said():
            with suppress(Exception):  # a log that cannot be written never stops trading
                self._tell(action)

    def close(self) -> None:
        """End the streams and every connection; orders stay at Alpaca."""
        self._stream.close()
        self._halts.close()
        self._wire.close()
