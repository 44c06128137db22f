"""The newest chapter of the golden history: every kind of event, by public commands.

Only the newest chapter is here. Earlier ones are files in tests/golden/events, which are never made
again. The README there says when a new chapter begins.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from aggregates.base import Command
from aggregates.capital import Earmark, ReleaseReserve, release_words
from aggregates.holdings import STEPS, AllocateGains, IntendBatch, RecordStep, ReservedFor
from aggregates.holdings_plan import Plan, PlannedSecurity, RollBackPlan, SavePlan
from aggregates.holdings_requests import (
    AnswerHoldings,
    RecordRebalance,
    RequestHoldings,
    StartRequest,
)
from aggregates.order_messages import IntendOrder, RecordFill
from aggregates.rebalance_values import (
    CarriedOut,
    LeftAlone,
    Preview,
    PreviewedOrder,
    Purses,
    WeighedSecurity,
)
from runtime.dispatch import Dispatcher

CHAPTER = 4
SOFTWARE = "0.1.0"  # what wrote this chapter
OPENED = datetime(2025, 4, 7, 14, 30, tzinfo=UTC)  # the store's clock when the chapter begins
IDENTITY = "DEMO_USA_SIM_01"
D = Decimal


class Scribe:
    """Sends commands under readable ids, which name the files; gives the last event's position."""

    def __init__(self, dispatch: Dispatcher) -> None:
        self._dispatch = dispatch
        self._day = ""

    def head(self) -> int:
        return self._dispatch.store.head().position

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
    a_plan(s)
    a_day_of_the_holdings(s)
    rebalances_and_top_ups(s)
    a_release(s)


def a_plan(s: Scribe) -> None:
    """Saved twice, with every field in two ways, and put back."""
    s.day("2025-04-07")
    blank = Plan(securities=(PlannedSecurity("SPY"), PlannedSecurity("BAC", D("40.50"))))
    other = Plan(
        securities=(PlannedSecurity("SPY", D(100)),), float_target=D("12.5"), tax_reserve=D(0),
        tax_vehicle="BIL", payroll=D(15), rebalance_months=3, auto_rebalance=False, sweep=True,
        drift_band=D("0.25"),
    )  # fmt: skip
    s.do("plan-first", SavePlan, plan=blank, seen=0)
    s.do("plan-other", SavePlan, plan=other, seen=1, reason="“calmer”")
    s.do("plan-back", RollBackPlan, to=1, seen=2, reason="as it was")


def a_day_of_the_holdings(s: Scribe) -> None:
    """An allocation with its earmarks, a batch of orders, every step."""
    s.day("2025-04-08")
    stretch = {"first": date(2025, 4, 1), "last": date(2025, 4, 7)}
    allocated = s.make(
        AllocateGains, plan_version=3, first=stretch["first"], through=stretch["last"],
        known_at=s.head(), trading=D("1234.56"), holdings=D("-10.00"), late_trading=D("1.50"),
        late_holdings=D(0), tax=D("246.91"), payroll=D("98.77"), reinvested=D("100.00"),
        over_reserved=D("0.30"),
        arithmetic=("tax: 20 % of 1,234.56 = 246.91", "payroll: 10 % of 987.65 = 98.77"),
        reserved=(
            ReservedFor(
                trading=D("1234.56"), holdings=D(0), result_trading=D("1234.56"),
                result_holdings=D("-10.00"), **stretch,
            ),
        ),
    )  # fmt: skip
    kept = {
        "tax-reserve": ("tax_reserve", "246.91"), "payroll": ("payroll_reserve", "98.77"),
        "reinvestment": ("reinvestment_pool", "100.00"),
    }  # fmt: skip
    earmarks = [
        s.make(
            Earmark, reference=f"2025-04-08-{context}", currency="USD", amount=D(amount),
            reason="gains to 2025-04-07", purse_from="float", purse_to=purse, context=context,
        )
        for context, (purse, amount) in kept.items()
    ]  # fmt: skip
    s.send("allocated", *earmarks, allocated)
    s.do(
        "batch", IntendBatch, batch="reinvestment", side="buy", order_ids=("4-reinvest",),
        skipped={"BAC": "no price"},
    )  # fmt: skip
    s.trade(
        "4-reinvest", "SPY", "buy", "0.5", "180.00", sleeve="holdings", context="reinvestment",
        strategy="HOLDINGS",
    )  # fmt: skip
    for step in STEPS:
        s.do(
            f"step-{step}", RecordStep, step=step, outcome=f"{step}: done",
            figures={"account value": "10,000.00"}, balances={"float": "1,000.00"},
        )  # fmt: skip


def rebalances_and_top_ups(s: Scribe) -> None:
    """One of each kind, carried out, refused and withdrawn."""
    s.day("2025-04-09")
    ask = {"reason": "asked “by hand”"}
    s.do(
        "ask-rebalance", RequestHoldings, request_id="r1", kind="rebalance", preview=PREVIEW, **ask
    )
    s.do("ask-top-up", RequestHoldings, request_id="t1", kind="top_up", **ask)
    s.do("start-rebalance", StartRequest, request_id="r1")
    done = CarriedOut(
        symbol="SPY", side="sell", previewed_quantity=D("0.25"), previewed=D("45.00"),
        previewed_costs=D("0.01"), wanted=D("0.25"), filled=D("0.2"), value=D("36.02"),
        costs=D("0.01"), state="cancelled", reason="not filled within 5 minutes",
    )  # fmt: skip
    s.do("rebalanced", RecordRebalance, request_id="r1", result=(done,), said="Sold 36.02.")
    s.do("refuse-top-up", AnswerHoldings, request_id="t1", outcome="refused", said="no price")
    s.do("ask-again", RequestHoldings, request_id="t2", kind="top_up", **ask)
    s.do("withdraw", AnswerHoldings, request_id="t2", outcome="withdrawn", said="by who asked")


def a_release(s: Scribe) -> None:
    s.day("2025-04-10")
    for purse in ("tax_reserve", "payroll_reserve"):
        s.money(
            f"release-{purse}", ReleaseReserve, "12.50", purse_from=purse,
            confirmed=release_words(D("12.50"), "USD"),
        )  # fmt: skip


def _purses(cash: str) -> Purses:
    return Purses(float=D(cash), tax_cash=D(3), tax_vehicle=D(1), payroll=D(2), pool=D(0))


PREVIEW = Preview(
    plan=3, currency="USD", float_target=D("1000.00"), before=_purses("900.00"),
    after=_purses("944.99"), digest="ab" * 32,
    securities=(
        WeighedSecurity(
            symbol="SPY", units=D("1.5"), cost=D("260.00"), price=D("180.00"),
            price_at=datetime(2025, 4, 9, 14, 59, tzinfo=UTC), value=D("270.00"),
            share=D("100.0000"), target=D("59.5000"), share_after=D("100.0000"),
        ),
        WeighedSecurity(
            symbol="BAC", units=D(0), cost=D(0), price=None, price_at=None, value=None,
            share=None, target=D("40.5000"), share_after=None,
        ),
    ),
    orders=(
        PreviewedOrder(
            symbol="SPY", side="sell", quantity=D("0.25"), price=D("180.00"), value=D("45.00"),
            costs=D("0.01"), gain=D("1.66"), tax=D("0.33"),
        ),
        PreviewedOrder(
            symbol="BAC", side="buy", quantity=D("1"), price=D("14.00"), value=D("14.00"),
            costs=D(0),
        ),
    ),
    left=(LeftAlone(symbol="BAC", why="no price"),),
)  # fmt: skip
