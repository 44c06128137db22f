"""Long-term holdings on a provisioned bot, by the real commands: securities, prices, reserves.

Loaded by conftest.py, whose fixture ``held`` tests ask for.
"""

from __future__ import annotations

import re
from decimal import Decimal
from html import unescape
from typing import Any

from aggregates.capital import Earmark
from aggregates.instrument import RegisterInstrument
from aggregates.order_messages import IntendOrder, RecordSubmission
from runtime.settings_change import change_settings

D = Decimal
FORM = {
    "seen": "0", "symbol": ["SCHD", "SCHY", "VTI"], "allocation": ["50", "", ""],
    "float_target": "10", "tax_reserve": "20", "tax_vehicle": "", "payroll": "10",
    "drift_band": "1", "rebalance_months": "6", "auto_rebalance": "yes",
}  # fmt: skip


class Held:
    """Writes as the supervisor does (``trading``) and as an admin does (``client``)."""

    @staticmethod
    def words(html: str) -> str:
        """As text, spaces made one."""
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())

    def row(self, html: str, symbol: str, table: str = "holdings-grid") -> str:
        """What a table's row says of a security."""
        start = html.index(f'class="{table}"')
        line = rf'<tr[^>]*>\s*<th scope="row">(?:<a [^>]*>)?{symbol}\b.*?</tr>'
        found = re.search(line, html[start:], re.DOTALL)
        assert found, symbol
        return self.words(found[0])

    def __init__(self, provisioned: Any, trading: Any, count: int = 0) -> None:
        """``count``: of what stands there already, so that nothing is called the same."""
        self.bot, self.trading = provisioned, trading
        self.count = trading.count = count

    def switch_on(self) -> None:
        with self.bot.people() as people:
            change_settings(
                people.custody, {"HOLDINGS_ENABLED": "true"}, seen=1, actor=self.bot.ids["admin"],
                reason="", command_id="test:holdings-on",
            )  # fmt: skip

    def plan(self, **typed: Any) -> None:
        answer = self.bot.client("admin").post("/holdings/plan", data=FORM | typed)
        assert answer.status_code == 303, answer.text

    def versions(self) -> list[Any]:
        found: list[Any] = self.bot.app.extensions["tradebot"].queries.plan_versions()
        return found

    def register(self, *symbols: str) -> None:
        for symbol in symbols:
            self.trading.do(
                RegisterInstrument, symbol=symbol, name=f"{symbol} Fund", kind="etf",
                currency="USD", exchange="XNYS",
            )  # fmt: skip

    def trade(self, symbol: str, quantity: str, price: str, side: str = "buy") -> None:
        self.count += 1
        order_id = f"{symbol}-{self.count}"
        self.trading.do(
            IntendOrder, order_id=order_id, bot_identity="ACME_USA_SIM_01",
            instrument_id=f"XNYS:{symbol}", symbol=symbol, sleeve="holdings", side=side,
            order_type="market", quantity=D(quantity), strategy="", reason="reinvestment",
            held=D(quantity),
        )  # fmt: skip
        self.trading.do(RecordSubmission, order_id=order_id)
        self.trading.fill(order_id, quantity, price)

    def reserve(self, purse: str, amount: str) -> None:
        self.count += 1
        self.trading.do(
            Earmark, reference=f"earmark-{self.count}", currency="USD", amount=D(amount),
            purse_from="float", purse_to=purse, reason="test",
        )  # fmt: skip

    def usual(self) -> None:
        """Three planned securities, two of them off target; one held that is not planned; gains of
        a sale; reserves."""
        self.switch_on()
        self.plan()
        self.trading.open()
        self.register("SCHD", "SCHY", "VTI", "BND")
        self.trade("SCHD", "900.123456789", "27.10")
        self.trade("SCHY", "800", "24.00")
        self.trade("VTI", "55.5", "290.00")
        self.trade("BND", "100", "72.50")
        self.trade("SCHD", "100", "28.00", "sell")
        self.reserve("tax_reserve", "500")
        self.reserve("payroll_reserve", "180.25")
        self.trading.mark(SCHD="28.35", SCHY="23.10", VTI="301.20", BND="71.90")
