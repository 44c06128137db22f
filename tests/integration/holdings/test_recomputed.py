"""The state of the holdings against the same figures worked out from the raw events, in fractions.

Nothing of the project is used on that side: payloads are read as JSON, costs and prices are worked
out anew for each pair of date and known-at.
"""

import json
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import pytest

from aggregates.capital import Earmark, RecordDividend, RecordWithholding
from aggregates.errors import DomainError
from aggregates.holdings_plan import Plan, PlannedSecurity
from aggregates.session import Mark, MarkPrices, OpenSession

PURSES = {"float": "float", "tax_reserve": "tax_cash", "payroll_reserve": "payroll",
          "reinvestment_pool": "pool"}  # fmt: skip
FOREVER = 10**9
PLAN = Plan(
    securities=(
        PlannedSecurity("SCHY", Decimal("12.34")), PlannedSecurity("SCHD"), PlannedSecurity("VTI"),
        PlannedSecurity("NEW", Decimal("5")),
    )
)  # fmt: skip


class Fact(NamedTuple):
    day: str
    position: int
    topic: str
    said: dict[str, Any]


class Oversold(Exception):
    pass


class Pool:
    """Units (exact), cost in cents, open lots as [units, cost]."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.units, self.cost, self.result = Fraction(0), 0, 0
        self.lots: list[list[Any]] = []

    def buy(self, units: Fraction, gross: int) -> None:
        self.units += units
        self.cost += gross
        self.lots.append([units, gross])

    def sell(self, units: Fraction, gross: int) -> None:
        if units > self.units:
            raise Oversold
        cost = 0
        if self.method == "average":
            cost = round(Fraction(self.cost) * units / self.units)
        else:
            left = units
            while left:
                lot = self.lots[0]
                taken = min(left, lot[0])
                part = round(Fraction(lot[1]) * taken / lot[0])
                lot[0], lot[1], left, cost = (
                    lot[0] - taken,
                    lot[1] - part,
                    left - taken,
                    cost + part,
                )
                if not lot[0]:
                    self.lots.pop(0)
        self.units -= units
        self.cost -= cost
        self.result += gross - cost

    def split(self, ratio: Fraction) -> None:
        self.units *= ratio
        for lot in self.lots:
            lot[0] *= ratio


def facts_of(keeper: Any) -> list[Fact]:
    found = []
    for row in keeper.feed.all():
        said = json.loads(keeper.feed.payload(row))
        found.append(Fact(said["effective_date"], row.position, row.topic, said))
    return found


class Then:
    """Everything up to a date and a position, replayed in the order that costs follow."""

    def __init__(self, facts: list[Fact], day: str, known: int, method: str) -> None:
        self.day, self.method = day, method
        known_facts = [f for f in facts if f.position <= known]
        undone = {f.said["reversed_position"] for f in known_facts
                  if f.topic == "Books.EntryReversed"}  # fmt: skip
        self.listed = [f for f in known_facts if f.topic in
                       ("Instrument.Registered", "Instrument.Renamed")]  # fmt: skip
        self.facts = sorted(f for f in known_facts if f.day <= day and f.position not in undone)
        self.pools: dict[tuple[str, str], Pool] = {}
        self.purses = dict.fromkeys(PURSES.values(), 0)
        self.dividends: dict[str, int] = {}
        for fact in self.facts:
            self.replay(fact)

    def replay(self, f: Fact) -> None:
        said, kind = f.said, f.topic.partition(".")[2]
        amount = round(Fraction(said.get("amount", 0)) * 100)
        if kind == "Filled":
            self.fill(said)
        elif kind == "Split":
            for (_, instrument), pool in self.pools.items():
                if instrument == said["instrument_id"]:
                    pool.split(Fraction(said["new_units"], said["old_units"]))
        elif kind == "Deposited":
            self.purses["float"] += amount
        elif kind == "Earmarked":
            self.purses[PURSES[said["purse_from"]]] -= amount
            self.purses[PURSES[said["purse_to"]]] += amount
        elif kind in ("DividendReceived", "TaxWithheld"):
            net = -amount if kind == "TaxWithheld" else amount - round(
                Fraction(said["withheld"]) * 100)  # fmt: skip
            self.purses["float"] += net
            who = next(i for i, symbol in self.symbols(f.day).items() if symbol == said["symbol"])
            self.dividends[who] = self.dividends.get(who, 0) + net

    def fill(self, said: dict[str, Any]) -> None:
        units = Fraction(said["quantity"])
        gross = round(units * Fraction(said["price"]) * 100)
        costs = round(Fraction(said["commission"]) * 100) + round(Fraction(said["fees"]) * 100)
        sleeve, purse = said["sleeve"], "float"
        if said["context"] == "tax-reserve":
            sleeve, purse = "vehicle", "tax_cash"
        elif said["context"] == "reinvestment" and said["side"] == "buy":
            purse = "pool"
        pool = self.pools.setdefault((sleeve, said["instrument_id"]), Pool(self.method))
        (pool.buy if said["side"] == "buy" else pool.sell)(units, gross)
        pool.result -= costs
        self.purses[purse] += (gross if said["side"] == "sell" else -gross) - costs

    # -- what a page would show ------------------------------------------------------------

    def symbols(self, day: str) -> dict[str, str]:
        return {f.said["instrument_id"]: f.said["symbol"] for f in self.listed if f.day <= day}

    def price(self, instrument: str) -> tuple[Fraction, str] | None:
        seen = []
        for f in self.facts:
            if f.topic == "Order.Filled" and f.said["instrument_id"] == instrument:
                seen.append((f.said["occurred_at"], f.position, f.day, f.said["price"]))
            for mark in f.said.get("marks", ()):
                if mark["instrument_id"] == instrument:
                    seen.append((mark["at"], f.position, f.day, mark["price"]))
        if not seen:
            return None
        at, _, when, text = max(seen)
        price = Fraction(text)
        for f in self.facts:
            if f.topic == "Instrument.Split" and f.said["instrument_id"] == instrument:
                price /= Fraction(f.said["new_units"], f.said["old_units"]) if when < f.day else 1
        return price, at

    def value(self, sleeve: str, instrument: str) -> int:
        pool = self.pools.get((sleeve, instrument))
        if pool is None or not pool.units:
            return 0
        price = self.price(instrument)
        assert price is not None
        return round(pool.units * price[0] * 100)

    def total(self, sleeve: str) -> int:
        return sum(self.value(s, instrument) for s, instrument in self.pools if s == sleeve)

    def result(self, sleeves: tuple[str, ...]) -> int:
        return sum(pool.result for (s, _), pool in self.pools.items() if s in sleeves)


class History:
    """Random days: purchases and sales in every sleeve, late and reversed ones, splits, a rename,
    dividends, earmarks and marks."""

    def __init__(self, keeper: Any, seed: int, method: str) -> None:
        self.keeper, self.draw, self.method = keeper, random.Random(seed), method
        self.now = date(2024, 1, 2)
        self.prices = {"SCHD": 2500, "SCHY": 7700, "VTI": 20011, "SGOV": 10000, "SPY": 47000}
        self.names = dict.fromkeys(self.prices, "")
        for symbol in self.prices:
            self.names[symbol] = symbol
            if symbol != "SPY":
                keeper.register(symbol)
        self.moments: list[tuple[str, int]] = []

    def run(self, days: int) -> None:
        for number in range(days):
            self.now += timedelta(days=3 if self.now.weekday() == 4 else 1)
            day = self.now.isoformat()
            opens = datetime.fromisoformat(f"{day}T14:30:00+00:00")
            self.keeper.do(OpenSession, day, label=day, opens_at=opens, symbols=(),
                           closes_at=opens.replace(hour=21), settings_position=0)  # fmt: skip
            if number == days // 2 and not self.names["SCHD"]:
                self.names["SCHD"] = "SCHX"
                self.keeper.rename("SCHD", "SCHX", day)
            for _ in range(self.draw.randrange(2, 7)):
                action = self.draw.choice([self.trade] * 6 + [self.money, self.mark, self.undo,
                                                              self.split])  # fmt: skip
                action(day)
                self.moments.append((day, self.keeper.store.head().position))

    def trade(self, day: str) -> None:
        symbol = self.draw.choice(sorted(self.prices))
        self.prices[symbol] = round(self.prices[symbol] * self.draw.randrange(970, 1031) / 1000)
        side, late = self.draw.choice(["buy", "buy", "sell"]), self.draw.random() < 0.2
        sleeve, context = "holdings", self.draw.choice(["rebalance", "reinvestment"])
        if symbol == "SPY" or self.draw.random() < 0.2:
            sleeve, context = "trading", "trading"
        elif symbol == "SGOV":
            context = "tax-reserve"
        on = (self.now - timedelta(days=self.draw.randrange(1, 9))).isoformat() if late else day
        self.fill(on, symbol, side, sleeve, context)

    def fill(self, day: str, symbol: str, side: str, sleeve: str, context: str) -> None:
        quantity = f"{self.draw.randrange(1, 40_000) / 1000:.3f}"
        price = f"{self.prices[symbol] / 100:.2f}"
        costs = {"commission": "0.35", "fees": f"0.0{self.draw.randrange(1, 10)}5"}
        said = {"instrument_id": f"XNYS:{symbol}", "quantity": quantity, "price": price,
                "side": side, "sleeve": sleeve, "context": context} | costs  # fmt: skip
        if self.possible(Fact(day, FOREVER, "Order.Filled", said)):
            self.keeper.fill(side, quantity, price, day, symbol=self.names[symbol],
                             instrument=f"XNYS:{symbol}", sleeve=sleeve, context=context,
                             **costs)  # fmt: skip

    def possible(self, *more: Fact) -> bool:
        """Whether units never fall below zero; more could be sold late than was held."""
        with suppress(Oversold):
            Then([*facts_of(self.keeper), *more], "9999", FOREVER, self.method)
            return True
        return False

    def money(self, day: str) -> None:
        purse = self.draw.choice(["tax_reserve", "payroll_reserve", "reinvestment_pool"])
        self.keeper.capital(Earmark, f"{self.draw.randrange(1, 99_999) / 100:.2f}", day,
                            purse_from="float", purse_to=purse)  # fmt: skip
        symbol = self.names[self.draw.choice(["SCHD", "SCHY"])]
        if self.draw.random() < 0.5:
            self.keeper.capital(RecordDividend, "3.21", day, symbol=symbol, withheld=Decimal("0.4"))
        else:
            self.keeper.capital(RecordWithholding, "0.07", day, symbol=symbol)

    def mark(self, day: str) -> None:
        at = datetime.fromisoformat(f"{day}T{self.draw.randrange(14, 22)}:00:00+00:00")
        marks = tuple(
            Mark(instrument_id=f"XNYS:{s}", symbol=self.names[s], at=at,
                 price=Decimal(self.prices[s] + self.draw.randrange(-90, 90)) / 100)
            for s in self.draw.sample(sorted(self.prices), 2)
        )  # fmt: skip
        self.keeper.do(MarkPrices, day, occasion=f"mark {self.keeper.number}", marks=marks)

    def undo(self, day: str) -> None:
        topics = ("Order.Filled", "Capital.DividendReceived", "Capital.Earmarked",
                  "Instrument.Split")  # fmt: skip
        known = [f.position for f in facts_of(self.keeper) if f.topic in topics]
        if known:
            with suppress(DomainError):  # reversed before, or units would be missing
                self.keeper.reverse(self.draw.choice(known[-30:]), day)

    def split(self, _day: str) -> None:
        if self.draw.random() < 0.4:
            symbol = self.draw.choice(["SCHD", "VTI"])
            said = {"instrument_id": f"XNYS:{symbol}", "new_units": 2, "old_units": 1}
            on = (self.now - timedelta(days=self.draw.choice([0, 0, 5]))).isoformat()
            if self.possible(Fact(on, FOREVER, "Instrument.Split", said)):
                self.keeper.split(2, 1, on, symbol)


METHODS = [("average", 1), ("fifo", 3)]


@pytest.fixture(params=METHODS, ids=[f"{m}-{s}" for m, s in METHODS])
def history(
    request: pytest.FixtureRequest, keep: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> History:
    monkeypatch.setattr("projections.ledger_rows.POINT_EVERY", 7)  # many balance points
    method, seed = request.param
    keeper = keep(cost_method=method)
    keeper.register("SPY")
    keeper.deposit("1000000.00")
    made = History(keeper, seed, method)
    made.run(45)
    return made


def test_every_figure_is_what_the_events_say_at_many_dates_and_known_ats(
    history: History, look_at: Callable[..., Any]
) -> None:
    look, facts = look_at(history.keeper), facts_of(history.keeper)
    moments = history.moments
    pairs = [(day, known) for day, _ in moments[::9] for _, known in moments[::7]]
    pairs += [(None, known) for _, known in moments[::11]]
    pairs += [(day, None) for day, _ in moments[::11]]
    compared = 0
    for day, known in pairs:
        state = look.state(PLAN, day=day, known_at=known)
        then = Then(facts, day or "9999", known or FOREVER, history.method)
        compared += compare(state, then)
    assert len(pairs) > 300
    assert compared > 1000  # rows with units among them
    assert kinds_of(facts) == {"late fill", "reversal", "split", "late split", "dividend", "mark"}


def kinds_of(facts: list[Fact]) -> set[str]:
    """What this history had of all that makes it hard."""
    days, found = sorted({f.day for f in facts if f.topic == "Session.Opened"}), set()
    newest = ""
    for f in sorted(facts, key=lambda fact: fact.position):
        late = f.day < newest
        if f.topic == "Order.Filled" and late:
            found.add("late fill")
        elif f.topic == "Instrument.Split":
            found.add("late split" if late else "split")
        named = {"Books.EntryReversed": "reversal", "Prices.Marked": "mark",
                 "Capital.DividendReceived": "dividend"}  # fmt: skip
        found |= {named[f.topic]} if f.topic in named else set()
        newest = max(newest, f.day) if f.day in days else newest
    return found


def compare(state: Any, then: Then) -> int:
    """Every row and total; how many rows had units."""
    purses = {name: Decimal(cents).scaleb(-2) for name, cents in then.purses.items()}
    assert {name: getattr(state.reserves, name) for name in purses} == purses
    long_term = then.total("holdings")
    expected = (long_term, then.total("trading"), then.total("vehicle"))
    found = (state.long_term_value, state.trading_value, state.tax_vehicle_value)
    assert found == tuple(Decimal(cents).scaleb(-2) for cents in expected)
    account = sum(then.purses.values()) + sum(expected)
    assert state.account_value == Decimal(account).scaleb(-2)
    assert state.float_target == Decimal(-(-account // 10)).scaleb(-2)  # rounded up
    symbols = then.symbols(then.day)
    shares = {"SCHY": Fraction(1234, 10000), "NEW": Fraction(5, 100)}
    blank = (1 - sum(shares.values())) / 2
    shares |= {"VTI": blank, symbols.get("XNYS:SCHD", "SCHD"): blank}
    held = 0
    for row in state.rows:
        pool = then.pools.get(("holdings", row.instrument_id), Pool("average"))
        value, dividends = then.value("holdings", row.instrument_id), then.dividends.get(
            row.instrument_id, 0)  # fmt: skip
        price = then.price(row.instrument_id)
        assert row.symbol == symbols.get(row.instrument_id, row.symbol)
        assert (row.units, row.cost) == (pool.units, Decimal(pool.cost).scaleb(-2))
        assert (row.realized, row.dividends) == (Decimal(pool.result).scaleb(-2),
                                                 Decimal(dividends).scaleb(-2))  # fmt: skip
        total = Decimal(value - pool.cost + pool.result + dividends).scaleb(-2)
        assert (row.value, row.total) == (Decimal(value).scaleb(-2), total)
        assert row.target == shares.get(row.symbol, 0)
        assert row.actual == (Fraction(value, long_term) if long_term else None)
        if row.actual is not None:
            drift = round((row.actual - row.target) * 10000)
            assert row.deviation == Decimal(drift).scaleb(-2)
        if price:
            at = datetime.fromisoformat(price[1])
            rounded = Decimal(round(price[0] * 10**6)).scaleb(-6)
            assert (row.price, row.price_at) == (rounded, at)
        else:
            assert (row.price, row.price_at) == (None, None)
        held += bool(row.units)
    assert sum(r.realized for r in state.rows) == Decimal(then.result(("holdings",))).scaleb(-2)
    return held


def test_gains_of_any_dates_known_in_any_stretch_go_to_their_source(
    history: History, look_at: Callable[..., Any]
) -> None:
    queries, facts = look_at(history.keeper).queries, facts_of(history.keeper)
    draw, moments = random.Random(5), history.moments
    found_some = set()
    for _ in range(60):
        first, last = sorted(date.fromisoformat(draw.choice(moments)[0]) for _ in range(2))
        since, until = sorted(draw.choice([0, *(p for _, p in moments)]) for _ in range(2))
        found = queries.realized(first, last, since_position=since, until_position=until)
        before = (first - timedelta(days=1)).isoformat()
        for sleeve, sleeves in (("trading", ("trading",)), ("holdings", ("holdings", "vehicle"))):
            signed = [(last, until, 1), (before, until, -1), (last, since, -1), (before, since, 1)]
            expected = sum(
                sign * Then(facts, str(day), known, history.method).result(sleeves)
                for day, known, sign in signed
            )
            assert getattr(found, sleeve) == Decimal(expected).scaleb(-2)
            found_some.add(bool(expected))
    assert found_some == {True, False}


def test_an_answer_as_known_then_never_changes(
    keep: Callable[..., Any], look_at: Callable[..., Any]
) -> None:
    keeper = keep()
    keeper.register("SPY")
    keeper.deposit("1000000.00")
    history, look = History(keeper, 4, "average"), look_at(keeper)
    answers = {}
    for _ in range(4):
        history.run(4)
        day, known = history.moments[-1]
        answers[day, known] = look.state(PLAN)
    for (day, known), answer in answers.items():
        assert look.state(PLAN, known_at=known) == answer
        assert look.state(PLAN, day=day, known_at=known) == answer  # nothing was dated later
