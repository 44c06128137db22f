"""Where fills of the same terms post: their accounts, looked up once, and what those add up to."""

from __future__ import annotations

import msgspec

from projections.ledger_rows import Total


class FillWay(msgspec.Struct, frozen=True, gc=False):
    """``factor``: multiplier of the instrument, times minor units of 1."""

    terms_id: int
    sold: bool
    factor: int
    codes: tuple[str, ...]  # the accounts of the totals below, which are in the order of the lines
    one_gain: bool  # whether the chart keeps both gains in one account
    rounding_counts: bool  # whether it keeps rounding among the fees
    checked: bool  # whether each entry has to be checked against the chart
    security: Total
    cash: Total
    gain_short: Total
    gain_long: Total
    commissions: Total
    fees: Total
    rounding: Total

    def add_up(
        self, point: int, first: int, units: int, result: int, cash: int, short: int, long: int,
        commission: int, fees: int, residue: int,
    ) -> None:  # fmt: skip
        """Add a fill's lines, those of the view ``postings``, to the totals of their accounts.

        Written out: a million fills go through here, and a loop over the lines takes twice as long.
        """
        self.security.move(first, units, result, point)
        if cash:
            self.cash.add(cash, point)
        if short:
            self.gain_short.add(-short, point)
        if long:
            self.gain_long.add(-long, point)
        if commission:
            self.commissions.add(commission, point)
        if fees:
            self.fees.add(fees, point)
        if residue:
            self.rounding.add(residue, point)
