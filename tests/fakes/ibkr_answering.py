"""What the fake gateway of Interactive Brokers answers to each message, from its books.

`link` is the connection that asked; each answer is a list of messages.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from beside import beside

books_module, say = beside("fakes/ibkr_books"), beside("fakes/ibkr_messages")
frame, error = say.frame, say.error


def of_3(link: Any, f: list[str]) -> list[bytes]:
    """placeOrder."""
    number, gateway = int(f[1]), link.gateway
    gateway.next_id = max(gateway.next_id, number + 1)
    listed = link.books.listed.get(int(f[2]))
    if listed is None:
        return [error(number, 200, "No security definition has been found")]
    order = books_module.Order(
        0, number, link.client_id, f[26], listed, f[16], f[18], Decimal(f[17]),
        Decimal(f[19] or 0), Decimal(f[20] or 0),
    )  # fmt: skip
    order.account = f[23]
    no = link.books.submit(order)
    if no is not None:
        return [error(number, *no)]
    return [say.open_order(order), say.status(order)]


def of_4(link: Any, f: list[str]) -> list[bytes]:
    number = int(f[2])
    answer = error(number, *link.books.cancel(link.client_id, number))
    mine = [o for o in link.books.orders.values() if o.order_id == number]
    return [*(say.status(o) for o in mine if o.client_id == link.client_id), answer]


def of_16(link: Any, _f: list[str]) -> list[bytes]:
    orders = link.books.open_orders()
    rows = [row for o in orders for row in (say.open_order(o), say.status(o))]
    return [*rows, frame(53, 1)]


def of_99(link: Any, _f: list[str]) -> list[bytes]:
    rows = [say.completed_order(order) for order in link.books.completed()]
    return [*rows, frame(102)]


def of_7(link: Any, f: list[str]) -> list[bytes]:
    """reqExecutions; costs come behind the end."""
    fills = link.books.shown_fills()
    if link.gateway.listing == "backwards":
        fills.reverse()
    rows = [say.execution(int(f[2]), fill) for fill in fills]
    rows *= 2 if link.gateway.listing == "twice" else 1
    costs = [say.commission(x) for x in fills if x.cost_told and not link.gateway.hold_costs]
    return [*rows, frame(55, 1, f[2]), *costs]


def of_61(link: Any, _f: list[str]) -> list[bytes]:
    rows = [
        say.position(link.gateway.account, link.books.listed[con_id], quantity)
        for con_id, quantity in link.books.held.items()
        if quantity
    ]
    return [*rows, frame(62, 1)]


def of_76(link: Any, f: list[str]) -> list[bytes]:
    """Account values by currency."""
    cash, base = f"{link.books.cash:.2f}", link.gateway.base
    values = [("NetLiquidation", cash, base), ("CashBalance", cash, "BASE")]
    values += [("CashBalance", cash, base), ("AccruedCash", "0.00", base)]
    values += [("CashBalance", v, name) for name, v in link.gateway.foreign_cash.items()]
    rows = [frame(73, 1, f[2], f[3], "", tag, v, name) for tag, v, name in values]
    return [*rows, frame(74, 1, f[2])]


def of_49(link: Any, _f: list[str]) -> list[bytes]:
    return [frame(49, 1, int(link.books.now().timestamp()))]


def of_9(link: Any, f: list[str]) -> list[bytes]:
    """contractDetails: by a stock's symbol, an option's local symbol, or its expiry."""
    number, sec_type = int(f[2]), f[5]
    if sec_type == "IND" and f[4] in link.gateway.index:
        listed = books_module.Listed(1, f[4], "IND", f[4])
        return [say.details(number, listed), frame(52, 1, number)]
    rows = [
        x for x in link.books.listed.values()
        if x.sec_type == sec_type and (f[13] in ("", x.local)) and (f[4] in ("", x.symbol))
        and (f[6] in ("", x.expiry)) and (f[14] in ("", x.trading_class))
    ]  # fmt: skip
    if not rows:
        return [error(number, 200, "No security definition has been found")]
    return [*(say.details(number, x) for x in rows), frame(52, 1, number)]


def of_78(link: Any, f: list[str]) -> list[bytes]:
    """secDefOptParams, of SMART and of one exchange."""
    puts = [x for x in link.books.listed.values() if x.sec_type == "OPT" and x.symbol == f[2]]
    rows = []
    for name, units in sorted({(x.trading_class, x.multiplier) for x in puts}):
        of_class = [x for x in puts if (x.trading_class, x.multiplier) == (name, units)]
        days = sorted({x.expiry for x in of_class})
        strikes = sorted({x.strike for x in of_class})
        rows += [
            frame(75, f[1], at, f[5], name, units, len(days), *days, len(strikes), *strikes)
            for at in ("CBOE", "SMART")
        ]
    return [*rows, frame(76, f[1])]


def of_20(link: Any, f: list[str]) -> list[bytes]:
    listed = link.books.listed[int(f[2])]
    if link.gateway.pacing:
        return [error(int(f[1]), 162, "Historical data: pacing violation")]
    rows = link.gateway.bars.get(listed.symbol)
    if not rows:
        said = "Historical Market Data Service error message:HMDS query returned no data"
        return [error(int(f[1]), 162, said)]
    return [say.bars(int(f[1]), rows)]


def of_1(link: Any, f: list[str]) -> list[bytes]:
    """Market data: everything there is at once, and the end of a snapshot."""
    number, con_id, snapshot = f[2], int(f[3]), f[17] == "1"
    if con_id == 1:
        return _index(number, link.gateway.index[f[4]])
    listed = link.books.listed[con_id]
    name = listed.local.replace(" ", "")
    if name in link.gateway.no_data:
        return [error(int(number), *link.gateway.no_data[name])]
    rows = [frame(58, 1, number, link.gateway.data_type)]
    rows.append(frame(45, 6, number, 49, f"{listed.halted}.0"))
    if name in link.gateway.quoted:
        bid, ask = link.books.prices[con_id]
        rows += [frame(1, 6, number, 1, bid, 2, 0), frame(1, 6, number, 2, ask, 3, 0)]
        rows.append(frame(1, 6, number, 4, bid, 1, 0))
    if listed.delta:
        rows.append(frame(21, number, 13, 0, "0.2", listed.delta, 3, 0, "0.1", "0.1", -1, 100))
    if listed.interest is not None:
        rows += [frame(2, 6, number, 27, 0), frame(2, 6, number, 28, listed.interest)]
    return rows + [frame(57, 1, number)] * snapshot


def _index(number: str, level: tuple[str, datetime | None]) -> list[bytes]:
    rows = [frame(58, 1, number, 1), frame(1, 6, number, 4, level[0], 0, 0)]
    if level[1] is not None:
        rows.append(frame(46, 6, number, 45, int(level[1].timestamp())))
    return [*rows, frame(57, 1, number)]


ANSWERS: dict[str, Callable[[Any, list[str]], list[bytes]]] = {
    "3": of_3,
    "4": of_4,
    "16": of_16,
    "99": of_99,
    "7": of_7,
    "61": of_61,
    "76": of_76,
    "49": of_49,
    "9": of_9,
    "78": of_78,
    "20": of_20,
    "1": of_1,
}
