"""What binds an execution to the preview that was confirmed: nothing moved, no money that is not
there is spent, and the result is held against the preview (decision 0032). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction

import msgspec

from aggregates.money import Money
from aggregates.rebalance_values import CarriedOut, Preview, PreviewedOrder, WeighedSecurity
from strategies.holdings_rules import Breach, check_purchases
from strategies.indicators import EXACT
from strategies.planned_order import SMALLEST
from strategies.rebalance_values import HeldSecurity, Situation

MOVE_LIMIT = Decimal("0.01")  # how far a price may move between preview and execution
NOT_SENT = "not sent"


# Before the first order


def moved(seen: Preview, now: Situation) -> tuple[str, ...]:
    """What differs, in words, beyond what is borne; empty: the preview still holds."""
    if now.version != seen.plan:
        return (f"the plan is version {now.version} now, the preview was made from {seen.plan}",)
    then = {security.symbol: security for security in seen.securities}
    held = {security.symbol: security for security in now.securities}
    found = [
        said
        for symbol in dict.fromkeys([*then, *held])
        if (said := _security_moved(symbol, then.get(symbol), held.get(symbol)))
    ]
    return tuple(found)


def _security_moved(symbol: str, then: WeighedSecurity | None, now: HeldSecurity | None) -> str:
    before, after = then.units if then else Decimal(0), now.units if now else Decimal(0)
    if before != after:
        return f"{symbol}: {after:f} units are held, {before:f} were in the preview"
    was, is_ = then.price if then else None, now.price if now else None
    if was == is_:
        return ""
    if was is None or is_ is None:
        why = now.no_price if now else "no price"
        return f"{symbol}: {why} now" if is_ is None else f"{symbol}: it had no price and has one"
    share = abs(Fraction(is_) - Fraction(was)) / Fraction(was)
    if share <= Fraction(MOVE_LIMIT):
        return ""
    return f"{symbol}: the price is {is_:f}, it was {was:f} in the preview ({share_text(share)})"


def breaches(confirmed: Preview, now: Situation) -> tuple[Breach, ...]:
    """The rules of the holdings that the purchases would break now; empty: none.

    A rebalance leaves the float at its target, or as far below it as it was: the target moves with
    the prices, and restoring the float is the daily check's work.
    """
    targets = (confirmed.float_target, now.float_target, now.purses.float)
    sales = sum((o.value - o.costs - o.tax for o in confirmed.of("sell")), Decimal(0))
    return check_purchases(
        now.plan,
        {o.symbol: o.value + o.costs for o in confirmed.of("buy")},
        purse="float",
        held=now.purses,
        target=min(target for target in targets if target is not None),
        currency=now.currency,
        proceeds=sales,
    )


def share_text(share: Fraction) -> str:
    return f"{Decimal(round(share * 10000)) / 100:.2f} %"


# Between sales and purchases


def purchases_for(
    preview: Preview, sales: Iterable[CarriedOut], step: Decimal
) -> tuple[PreviewedOrder, ...]:
    """The previewed purchases, all cut by the same share when the sales brought less.

    So a sale that was refused makes every purchase smaller and never touches the float. What would
    come below one unit of the currency is left out.
    """
    wanted = preview.of("buy")
    needed = sum((o.value + o.costs for o in wanted), Decimal(0))
    there = _there(preview, sales)
    if there >= needed or not wanted:
        return wanted
    share = Fraction(max(there, Decimal(0))) / Fraction(needed)
    cut = (_cut(order, share, step, preview.currency) for order in wanted)
    return tuple(order for order in cut if order.value >= SMALLEST)


def unspent(preview: Preview, done: Sequence[CarriedOut]) -> Decimal:
    """What the purchases of an unfinished rebalance were to cost of what its sales brought, and
    did not."""
    spent = sum((one.value + one.costs for one in done if one.side == "buy"), Decimal(0))
    return max(_there(preview, [o for o in done if o.side == "sell"]) - spent, Decimal(0))


def _there(preview: Preview, sales: Iterable[CarriedOut]) -> Decimal:
    """The money for purchases: what the float gives, and what the sales brought."""
    return preview.before.float - preview.after.float + _left_of(preview, sales)


def _left_of(preview: Preview, sales: Iterable[CarriedOut]) -> Decimal:
    """What the sales brought, less their costs and the tax on the part that was sold."""
    taxes = {order.symbol: order.tax for order in preview.of("sell")}
    left = Decimal(0)
    for sale in sales:
        part = min(Fraction(sale.filled) / Fraction(sale.previewed_quantity), Fraction(1))
        tax = Money.of(taxes[sale.symbol], preview.currency).share(part)
        left += sale.value - sale.costs - tax.decimal
    return left


def _cut(order: PreviewedOrder, share: Fraction, step: Decimal, currency: str) -> PreviewedOrder:
    steps = Fraction(order.quantity) * share // Fraction(step)
    quantity = EXACT.multiply(Decimal(steps), step)
    part = Fraction(quantity) / Fraction(order.quantity)
    return msgspec.structs.replace(
        order,
        quantity=quantity,
        value=Money.rounded(EXACT.multiply(quantity, order.price), currency).decimal,
        costs=Money.of(order.costs, currency).share(part).decimal,
    )


# After the last order


def summary(preview: Preview, done: Sequence[CarriedOut]) -> str:
    """The result against the preview in one sentence or two."""
    if not preview.orders:
        return "Nothing was to be done: every security was left alone."
    sold, bought = _sums(preview, done, "sell"), _sums(preview, done, "buy")
    said = (
        f"Sold {sold[1]:,f} (preview {sold[0]:,f}) and bought {bought[1]:,f} (preview "
        f"{bought[0]:,f}) {preview.currency}."
    )
    less = [f"{one.symbol}: {one.reason}" for one in done if one.filled < one.previewed_quantity]
    return f"{said} Fewer units than previewed: {'; '.join(less)}." if less else said


def _sums(preview: Preview, done: Sequence[CarriedOut], side: str) -> tuple[Decimal, Decimal]:
    """As previewed and as filled."""
    zero, of_side = Decimal(0), [one for one in done if one.side == side]
    both = sum((o.previewed for o in of_side), zero), sum((o.value for o in of_side), zero)
    previewed, filled = (Money.rounded(amount, preview.currency).decimal for amount in both)
    return previewed, filled
