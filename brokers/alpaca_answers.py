"""What of an order goes to Alpaca, and what its answers mean. Pure."""

from __future__ import annotations

from decimal import Decimal

from aggregates.occ import occ_terms
from brokers.alpaca_http import refuse_keys
from brokers.http_wire import WireFailure
from brokers.port import BrokerError, DuplicateOrder, OrderRefused, OrderRequest, OutcomeUnknown
from brokers.request_checks import check_terms

# Alpaca has one number for many reasons, so its words decide; the first that occur count.
_REASONS = (
    ("insufficient buying power", "insufficient_cash"),
    ("options buying power", "insufficient_cash"),
    ("insufficient qty", "short_sale"),
    ("uncovered", "short_sale"),
    ("short", "short_sale"),
    ("not fractionable", "not_fractionable"),
    ("could not find", "unknown_symbol"),
    ("not found", "unknown_symbol"),
    ("not tradable", "not_tradable"),
    ("not active", "not_tradable"),
    ("halt", "not_tradable"),
    ("market hours", "market_closed"),
    ("market is closed", "market_closed"),
    ("blocked", "account_blocked"),
    ("restricted", "account_blocked"),
    ("not eligible", "account_blocked"),
    ("price", "invalid_price"),
    ("qty", "invalid_quantity"),
)


def order_fields(request: OrderRequest) -> dict[str, str]:
    """The body of POST /v2/orders, numbers as text: alpaca-py's own request would hold floats.

    A day order always, which fractions need. Raises OrderRefused before anything is sent.
    """
    check_terms(request)
    fields = {
        "symbol": request.symbol,
        "qty": _text(request.quantity),
        "side": request.side,
        "type": request.order_type,
        "time_in_force": "day",
        "client_order_id": request.client_order_id,
    }
    if occ_terms(request.symbol):
        fields |= _of_option(request)
    if request.limit_price is not None:
        fields["limit_price"] = _text(request.limit_price)
    if request.stop_price is not None:
        fields["stop_price"] = _text(request.stop_price)
    return fields


def _of_option(request: OrderRequest) -> dict[str, str]:
    """Bought to open and sold to close: a sale of too much is refused there, too."""
    if request.quantity != int(request.quantity):
        raise OrderRefused("not_fractionable", "Option contracts are traded whole.")
    if request.order_type == "stop":
        raise OrderRefused("invalid_type", "Options are bought and sold at the market or a limit.")
    return {"position_intent": "buy_to_open" if request.side == "buy" else "sell_to_close"}


def _text(number: Decimal) -> str:
    return f"{number:f}"


def no_order(failure: WireFailure, client_order_id: str) -> BrokerError:
    """What a POST without a good answer means for the order.

    Only Alpaca's own JSON of a refusal says that there is no order. A time-out, a lost connection,
    an unreadable answer, 5xx, or an error page of something in between say nothing.
    """
    if failure.keys_refused:
        refuse_keys()
    if failure.status in (400, 403, 404, 422) and failure.message:
        if failure.status == 422 and "client_order_id must be unique" in failure.message:
            return DuplicateOrder(
                f"Alpaca has order {client_order_id} already; it was not taken again. Ask for its "
                "state by this id."
            )
        return OrderRefused(error_code(failure), failure.message)
    if failure.status == 429:
        return OrderRefused(
            "rate_limited", "Too many requests to Alpaca in this minute; no order was placed."
        )
    return OutcomeUnknown(
        f"Order {client_order_id} may or may not have reached Alpaca: {failure.said}. It was not "
        "sent again; ask for it by this id."
    )


def error_code(failure: WireFailure) -> str:
    said = failure.message.lower()
    for words, code in _REASONS:
        if words in said:
            return code
    return f"alpaca_{failure.code or failure.status}"
