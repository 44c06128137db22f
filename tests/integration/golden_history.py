"""The newest chapter of the golden history: every kind of event, by public commands.

Only the newest chapter is here. Earlier ones are files in tests/golden/events, which are never made
again. The README there says when a new chapter begins.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from aggregates.base import Command
from aggregates.books import AdoptRules, ClosePeriod, OpenBooks, ReverseEntry
from aggregates.capital import (
    Earmark,
    RecordDeposit,
    RecordDividend,
    RecordFee,
    RecordInterest,
    RecordMarginInterest,
    RecordWithdrawal,
)
from aggregates.chart_of_accounts import Account, AdoptChart, Chart
from aggregates.configuration import AdoptSettings
from aggregates.instrument import RecordSplit, RegisterInstrument, RenameInstrument
from aggregates.order_messages import (
    IntendOrder,
    RecordAcceptance,
    RecordCancellation,
    RecordExpiry,
    RecordFill,
    RecordRejection,
    RecordSubmission,
    RecordUnknownOutcome,
    RequestCancel,
)
from aggregates.session import (
    CloseSession,
    Decide,
    EndPhase,
    Mark,
    MarkPrices,
    OpenSession,
    RecordReconciliation,
    StartPhase,
    Verdict,
)
from runtime.dispatch import Dispatcher

CHAPTER = 1
SOFTWARE = "0.1.0"  # what wrote this chapter
OPENED = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)  # the store's clock when the chapter begins
IDENTITY = "DEMO_USA_SIM_01"
OPTION = "SPY240621P00450000"
D = Decimal

CHART = """
1010 asset cash_float           1030 asset tax_reserve           1040 asset payroll_reserve
1050 asset reinvestment_pool    1110 asset trading_securities    1120 asset trading_options
1130 asset holdings_securities  1140 asset tax_reserve_vehicle   1990 asset suspense
2010 liability tax_payable      2020 liability payroll_payable   2030 liability accrued_fees
3010 equity opening_equity      3020 equity owner_draws          3090 equity retained_earnings
4010 income gain_short_term     4020 income gain_long_term       4030 income dividends
4040 income interest            5010 expense commissions         5020 expense fees
5030 expense margin_interest    5040 expense payroll             5050 expense income_tax
5060 expense withholding_tax    5070 expense rounding            9010 memo unrealized
9020 memo slippage
""".split()


def chart(version: int, **moved: str) -> Chart:
    """Every role with an account of its own; ``moved`` roles post to a new one."""
    listed = list(zip(CHART[::3], CHART[1::3], CHART[2::3], strict=True))
    accounts = [
        Account(code=c, name=role, type=kind, per_instrument="1100" < c < "1200")
        for c, kind, role in listed
    ]
    accounts += [Account(code=c, name=f"{role}, new", type="expense") for role, c in moved.items()]
    mapping = {role: c for c, _, role in listed} | moved
    return Chart(version=version, accounts=tuple(accounts), mapping=mapping)


class Scribe:
    """Sends commands under readable ids, which name the files; gives the last event's position."""

    def __init__(self, dispatch: Dispatcher) -> None:
        self._dispatch = dispatch
        self._day = ""

    def day(self, day: str) -> None:
        self._day = day

    def make(self, kind: type, /, at: str = "15:00", on: str = "", **fields: Any) -> Command:
        moment = datetime.fromisoformat(f"{self._day} {at}").replace(tzinfo=UTC)
        made: Command = kind(
            at=moment, effective_date=date.fromisoformat(on or self._day), **fields
        )
        return made

    def send(self, name: str, *commands: Command, thread: str = "", cause: str = "") -> int:
        done = self._dispatch(
            *commands, command_id=f"{CHAPTER}:{name}", correlation=thread, causation=cause
        )
        return done.positions[-1]

    def do(self, name: str, kind: type, /, **fields: Any) -> int:
        return self.send(name, self.make(kind, **fields))

    def money(self, name: str, kind: type, amount: str, /, **fields: Any) -> int:
        return self.do(
            name, kind, reference=name, currency="USD", amount=D(amount), reason=f"golden {name}",
            **fields,
        )  # fmt: skip

    def intent(self, order: str, symbol: str, side: str, quantity: str, **fields: Any) -> Command:
        own = {"sleeve": "trading", "order_type": "market", "strategy": "OPEN"}
        return self.make(
            IntendOrder, order_id=order, bot_identity=IDENTITY, side=side, symbol=symbol,
            instrument_id=f"XNYS:{symbol}", quantity=D(quantity), reason="golden", **(own | fields),
        )  # fmt: skip

    def report(
        self, order: str, quantity: str, price: str, *, part: int = 1, net: str | None = None,
        commission: str = "0", fees: str = "0", **circumstances: Any,
    ) -> Command:  # fmt: skip
        return self.make(
            RecordFill, order_id=order, execution_id=f"x-{order}-{part}", quantity=D(quantity),
            price=D(price), currency="USD", commission=D(commission), fees=D(fees),
            net_amount=None if net is None else D(net), settles_on=date(2024, 1, 5),
            **circumstances,
        )  # fmt: skip

    def trade(
        self, name: str, symbol: str, side: str, quantity: str, price: str, *, on: str = "",
        costs: Any = (), **terms: Any,
    ) -> int:  # fmt: skip
        """An order and its one fill in one batch; the position is the fill's."""
        intent = self.intent(name, symbol, side, quantity, on=on, **terms)
        return self.send(name, intent, self.report(name, quantity, price, on=on, **dict(costs)))


def write(dispatch: Dispatcher) -> None:
    """The whole chapter."""
    s = Scribe(dispatch)
    provision(s)
    first_session(s)
    orders_without_a_fill(s)
    second_session(s)
    money_without_trades(s)
    changes_and_corrections(s)


def provision(s: Scribe) -> None:
    s.day("2024-01-02")
    s.do(
        "open-books", OpenBooks, identity=IDENTITY, entity_code="DEMO", jurisdiction_code="USA",
        broker_code="SIM", bot_id="01", currency="USD", timezone="US/Eastern",
        exchange_calendar="XNYS", cost_method="average", demo=True,
    )  # fmt: skip
    s.do("adopt-rules", AdoptRules, rules_version=1)
    s.do("adopt-chart", AdoptChart, chart=chart(1), reason="start")
    s.do("adopt-settings", AdoptSettings, values={"SEED": "1", "FRACTIONAL": "true"}, reason="")
    for symbol, kind, multiplier in (
        ("SPY", "etf", 1), ("QQQ", "stock", 1), ("BIL", "etf", 1), (OPTION, "option", 100),
    ):  # fmt: skip
        s.do(
            f"register-{symbol}", RegisterInstrument, symbol=symbol, name=f"{symbol}, “Café”",
            kind=kind, currency="USD", exchange="XNYS", multiplier=multiplier, tick=D("0.01"),
        )  # fmt: skip
    s.money("deposit", RecordDeposit, "100000.00")
    for purse, amount in (
        ("tax_reserve", "5000"), ("payroll_reserve", "2000.50"), ("reinvestment_pool", "6000.00"),
    ):  # fmt: skip
        name = f"earmark-{purse}"
        s.money(name, Earmark, amount, purse_from="float", purse_to=purse)


def decide(s: Scribe, name: str, symbol: str, kind: str, outcome: str, **fields: Any) -> Command:
    verdicts = tuple(
        Verdict(rule=rule, passed=rule != fields.get("refused"), value="0.0182", limit="0.02",
                unit="fraction of price")
        for rule in ("spread", "volume")
    )  # fmt: skip
    return s.make(
        Decide, decision_id=name, strategy="OPEN", symbol=symbol, kind=kind, outcome=outcome,
        reason=f"golden {name}", inputs={"range_high": "470.10", "close": "470.55"},
        verdicts=() if kind == "no_range" else verdicts, order_id=fields.get("order"),
    )  # fmt: skip


def begin_session(s: Scribe, label: str, symbols: tuple[str, ...]) -> None:
    s.day(label)
    opens, closes = (datetime.fromisoformat(f"{label} {t}:00+00:00") for t in ("14:30", "21:00"))
    s.do(
        f"open-session-{label}", OpenSession, at="14:30", label=label, opens_at=opens,
        closes_at=closes, symbols=symbols, settings_position=4,
    )  # fmt: skip
    s.do(f"start-open-{label}", StartPhase, at="14:30", phase="open")


def end_session(s: Scribe, label: str, cash: str, *differences: str, **prices: str) -> None:
    closed = datetime.fromisoformat(f"{label} 21:00:00+00:00")
    marks = tuple(
        Mark(instrument_id=f"XNYS:{symbol}", symbol=symbol, price=D(price), at=closed)
        for symbol, price in prices.items()
    )
    s.do(f"end-open-{label}", EndPhase, at="17:00", phase="open", outcome="done")
    s.do(f"mark-{label}", MarkPrices, at="21:00", occasion="session close", marks=marks)
    s.do(
        f"reconcile-{label}", RecordReconciliation, at="21:01", broker_cash=D(cash),
        differences=differences,
    )  # fmt: skip
    s.do(f"close-session-{label}", CloseSession, at="21:02", label=label)


def first_session(s: Scribe) -> None:
    """Every kind of decision; an entry filled in two parts, with fractions of a cent; an exit."""
    begin_session(s, "2024-01-03", ("BIL", "QQQ", "SPY"))
    s.send("no-range", decide(s, "no-range", "BIL", "no_range", "no_trade"))
    s.send("disabled", decide(s, "disabled", "BIL", "disabled", "no_trade"))
    s.send("bearish", decide(s, "bearish", "QQQ", "bearish", "no_instrument"))
    refused = decide(s, "entry-refused", "QQQ", "entry", "refused", refused="spread")
    s.send("entry-refused", refused)
    taken = decide(s, "entry-taken", "SPY", "entry", "taken", order="entry")
    s.send("entry-taken", taken, s.intent("entry", "SPY", "buy", "100"), thread="SPY-1")
    about = {"thread": "SPY-1", "cause": "1:entry-taken"}
    s.send("entry-submitted", s.make(RecordSubmission, order_id="entry"), **about)
    accepted = s.make(RecordAcceptance, order_id="entry", broker_order_id="B-1")
    s.send("entry-accepted", accepted, **about)
    costs = {"commission": "0.354", "fees": "0.0123"}
    first = s.report("entry", "60", "470.123456", at="15:01:00.000001", **costs)
    s.send("bought-a-part", first, **about)
    s.send("bought-the-rest", s.report("entry", "40", "470.13", part=2, at="15:02"), **about)
    taken = decide(s, "exit-taken", "SPY", "exit", "taken", order="exit")
    s.send("exit-taken", taken, s.intent("exit", "SPY", "sell", "40"), thread="SPY-1")
    sold = s.report("exit", "40", "471.115", net="18844.01", commission="0.2", fees="0.3761")
    s.send("sold-for-a-stated-amount", sold, thread="SPY-1")
    end_session(s, "2024-01-03", "71838.15", SPY="468.79", QQQ="396.28")


def orders_without_a_fill(s: Scribe) -> None:
    """Rejected, expired, unknown and then cancelled; a limit and a stop."""
    s.day("2024-01-04")
    s.send("limit", s.intent("limit", "SPY", "buy", "1", order_type="limit", limit_price=D("99.5")))
    s.do("limit-submitted", RecordSubmission, order_id="limit")
    s.do("limit-rejected", RecordRejection, order_id="limit", error_code="E7", reason="no margin")
    s.send("stop", s.intent("stop", "SPY", "sell", "1", order_type="stop", stop_price=D("90")))
    s.do("stop-submitted", RecordSubmission, order_id="stop")
    s.do("stop-expired", RecordExpiry, order_id="stop")
    s.send("lost", s.intent("lost", "QQQ", "buy", "5"))
    s.do("lost-submitted", RecordSubmission, order_id="lost")
    s.do("lost-unknown", RecordUnknownOutcome, order_id="lost", reason="timed out")
    s.do("lost-accepted", RecordAcceptance, order_id="lost", broker_order_id="B-9")
    s.do("lost-cancel", RequestCancel, order_id="lost", reason="end of monitoring")
    s.do("lost-cancelled", RecordCancellation, order_id="lost", reason="by the bot")


def second_session(s: Scribe) -> None:
    """A fraction of a share, an option, the holdings sleeve, the tax reserve, a riddle."""
    begin_session(s, "2024-01-04", ("QQQ",))
    s.trade("buy-a-fraction", "QQQ", "buy", "2.123456789", "399.87")
    option_costs = {"commission": "1.30", "fees": "0.05"}
    s.trade("buy-an-option", OPTION, "buy", "2", "5.35", costs=option_costs)
    s.trade("sell-an-option", OPTION, "sell", "1", "4.90", costs={"fees": "0.0313"})
    holdings = {"sleeve": "holdings", "strategy": "HOLDINGS"}
    s.trade("reinvest", "SPY", "buy", "10", "469.5", context="reinvestment", **holdings)
    s.trade("top-up", "SPY", "buy", "1.5", "469.61", context="top-up", **holdings)
    s.trade("rebalance", "SPY", "sell", "0.5", "470.00", context="rebalance", **holdings)
    s.trade("reserve-buys", "BIL", "buy", "20", "91.55", context="tax-reserve", **holdings)
    s.trade("reserve-sells", "BIL", "sell", "3", "91.60", context="tax-reserve", **holdings)
    s.trade("unexplained", "QQQ", "buy", "1", "396", costs={"net": "-401.00"})
    end_session(s, "2024-01-04", "65000.00", "cash: books 65000.01", SPY="467.28", QQQ="394.11")


def money_without_trades(s: Scribe) -> None:
    s.day("2024-01-05")
    s.money("dividend-withheld", RecordDividend, "30.00", symbol="SPY", withheld=D("4.50"))
    s.money("dividend", RecordDividend, "12.00", symbol="ZZZ")
    s.money("interest", RecordInterest, "1.23")
    s.money("fee", RecordFee, "2.00")
    s.money("margin-interest", RecordMarginInterest, "0.77")
    s.money("draw", RecordWithdrawal, "500.00")
    s.money("tax-paid", RecordWithdrawal, "100.00", purse="tax_reserve", purpose="income_tax")
    s.money("wages-paid", RecordWithdrawal, "80.10", purse="payroll_reserve", purpose="payroll")


def changes_and_corrections(s: Scribe) -> None:
    """Split, rename, what came late, what was wrong, a closed period, another chart, a long term.

    The reversals are checked without the movements of units, which no event holds.
    """
    s.day("2024-01-08")
    s.do("split", RecordSplit, instrument_id="XNYS:SPY", new_units=2, old_units=1)
    s.do("rename", RenameInstrument, instrument_id="XNYS:QQQ", symbol="QQQM")
    wrong = s.trade("sell-after-split", "SPY", "sell", "33.3", "235.25", costs={"fees": "0.0811"})
    s.day("2024-01-09")
    s.trade("late", "SPY", "buy", "21", "468.333333", on="2024-01-03", costs={"commission": "0.07"})
    s.do("reverse-sale", ReverseEntry, reversed_position=wrong, reason="busted by the exchange")
    fee = s.money("wrong-fee", RecordFee, "9.99")
    s.do("reverse-fee", ReverseEntry, reversed_position=fee, reason="charged twice")
    s.day("2024-01-31")
    s.do("close-period", ClosePeriod, through=date(2024, 1, 30), reason="month end")
    s.trade("after-close", "SPY", "buy", "5", "467.9", on="2024-01-05", costs={"fees": "0.35"})
    s.do("adopt-other-chart", AdoptChart, chart=chart(2, fees="5080"), reason="fees apart")
    s.money("fee-in-other-chart", RecordFee, "3.00")
    s.do("adopt-other-settings", AdoptSettings, values={"SEED": "2"}, reason="second try")
    s.day("2025-02-03")
    s.trade("sell-long-term", "SPY", "sell", "100", "300.10", costs={"net": "30009.99"})
