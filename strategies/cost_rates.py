"""What orders cost at each broker, estimated: commission, and fees of SEC and FINRA on sales."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class CostRates(msgspec.Struct, frozen=True, kw_only=True):
    """Major units: ``per_share`` on both sides; ``per_share_sold`` and ``of_proceeds`` on sales."""

    per_share: Decimal
    per_share_sold: Decimal
    of_proceeds: Decimal


_US_FEES = {"per_share_sold": Decimal("0.000166"), "of_proceeds": Decimal("0.0000278")}
_RATES = {
    "SIMULATED": CostRates(per_share=Decimal("0.005"), **_US_FEES),  # decision 0002
    "ALPACA": CostRates(per_share=Decimal(0), **_US_FEES),
}


def rates_of(broker: str) -> CostRates:
    """``broker`` is BROKER_NAME; one without rates of its own is taken for the dearest known."""
    return _RATES.get(broker, _RATES["SIMULATED"])
