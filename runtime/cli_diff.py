"""The difference report in words, as JSON and as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import click

from projections.difference_records import (
    AccountDifference,
    ChangedEntry,
    ChartDifference,
    Difference,
    Figures,
    HoldingDifference,
    Moment,
    OrderDifference,
    Source,
)
from projections.orders import OrderView
from runtime.cli_output import as_json, csv_text, money, plain, table, units, utc

INDENT = "    "


def difference(found: Difference, form: str) -> None:
    if form == "json":
        click.echo(as_json({"nothing_changed": found.nothing} | plain(found)))
    elif form == "csv":
        click.echo(csv_text(list(_records(found))), nl=False)
    else:
        click.echo("\n\n".join(_sections(found)))


# -- for people ----------------------------------------------------------------------------


def _sections(found: Difference) -> Iterator[str]:
    yield _head(found)
    if found.nothing:
        yield "Nothing changed: the period is what it was known to be then."
        return
    yield _accounts(found)
    if found.entries:
        yield f"Entries recorded since, in the order of recording ({found.entry_count})"
        yield from map(_entry, found.entries)
    if found.posted_later:
        yield (
            "NOT in the figures above: recorded since about events of the period, but posted after "
            f"it, because the period was closed ({len(found.posted_later)})"
        )
        yield from map(_entry, found.posted_later)
    if found.holdings:
        yield _holdings(found)
    if found.orders:
        yield _orders(found.orders)
    if found.chart:
        yield "Chart of accounts"
        yield from map(_chart, found.chart)


def _head(found: Difference) -> str:
    closed = f"closed through {found.closed_through}" if found.closed_through else "never closed"
    rows = [
        ("Period", f"{found.first} to {found.last}, effective dates"),
        ("Known then", _moment(found.since)),
        ("Known now", _moment(found.known)),
        ("Books", f"in {found.currency}, {closed}"),
    ]
    return "\n".join(f"{name:<10}  {text}" for name, text in rows)


def _moment(m: Moment) -> str:
    if m.recorded_at is None:
        return "before the first event"
    return f"event {m.position:,}, recorded {utc(m.recorded_at)}"


def _accounts(found: Difference) -> str:
    if not found.accounts:
        cancels = ": what was recorded since cancels out" if found.entries else ""
        return f"No account of the period differs{cancels}."
    rows = [(a.code, a.account, *_three(a.amount), _units(a.quantity)) for a in found.accounts]
    rows.append(("", "Total of these accounts", *_three(found.total), ""))
    rows.append(("", "Result of the period (a gain positive)", *_three(found.result), ""))
    head = ("Code", "Account", "Known then", "Known now", "Difference", "Units")
    title = f"Movement of the period by account, {found.currency}, debit positive"
    return f"{title}\n{table(head, rows, right={2, 3, 4, 5})}"


def _units(figures: Figures | None) -> str:
    return units(figures.difference) if figures and figures.difference else ""


def _three(figures: Figures) -> tuple[str, str, str]:
    return money(figures.then), money(figures.now), money(figures.difference)


def _entry(entry: ChangedEntry) -> str:
    lines = [_source(entry.source), f"{INDENT}{entry.description}", f"{INDENT}{_when(entry)}"]
    if entry.concerns:
        lines.append(f"{INDENT}about event {entry.about}: {entry.concerns}")
    rows = [(p.code, p.account, units(p.quantity), money(p.amount)) for p in entry.postings]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for code, account, quantity, amount in rows:
        lines.append(
            f"{INDENT * 2}{code:<{widths[0]}}  {account:<{widths[1]}}"
            f"  {quantity:>{widths[2]}}  {amount:>{max(widths[3], 14)}}"
        )
    return "\n".join(lines)


def _source(s: Source) -> str:
    caused = f", caused by {s.causation}" if s.causation else ""
    why = f"\n{INDENT}why: {s.reason}" if s.reason else ""
    return (
        f"[event {s.position}]  {utc(s.recorded_at)}  {s.topic}  by {s.actor}"
        f" (command {s.command_id}{caused}){why}"
    )


def _when(entry: ChangedEntry) -> str:
    if entry.own_date == entry.effective_date:
        return f"effective {entry.effective_date}"
    return f"belongs to {entry.own_date}, posted on {entry.effective_date}: its period was closed"


def _holdings(found: Difference) -> str:
    rows = [
        (h.code, h.symbol, units(h.quantity.then), units(h.quantity.now), *_three(h.cost))
        for h in found.holdings
    ]
    head = ("Code", "Symbol", "Units then", "Units now", "Cost then", "Cost now", "Difference")
    return f"Held on {found.last}\n{table(head, rows, right={2, 3, 4, 5, 6})}"


def _orders(found: Iterable[OrderDifference]) -> str:
    rows = [
        (
            o.order_id,
            o.now.side,
            o.now.symbol,
            standing(o.then),
            standing(o.now),
            str(o.now.position),
        )
        for o in found
    ]
    head = ("Order", "Side", "Symbol", "Known then", "Known now", "Event")
    return f"Orders at the end of the period\n{table(head, rows, right={5})}"


def standing(order: OrderView | None) -> str:
    """An order's state in a few words."""
    if order is None:
        return "not known"
    at = "" if order.average_price is None else f" at {order.average_price:f}"
    return f"{order.state}, {units(order.filled)} of {units(order.quantity)}{at}"


def _chart(c: ChartDifference) -> str:
    change = f"{c.before} → {c.after}" if c.before and c.before != c.after else c.after or c.before
    return f"{_source(c.source)}\n{INDENT}{c.code} {c.what}: {change}"


# -- for programs --------------------------------------------------------------------------


def _records(found: Difference) -> Iterator[dict[str, Any]]:
    """Every line of the report as a flat record; ``part`` says what kind of line it is."""
    yield from map(_account_record, found.accounts)
    yield {"part": "total"} | plain(found.total)
    yield {"part": "result"} | plain(found.result)
    yield from (r for e in found.entries for r in _entry_records("entry", e))
    yield from (r for e in found.posted_later for r in _entry_records("posted later", e))
    yield from map(_holding_record, found.holdings)
    for o in found.orders:
        before, after = standing(o.then), standing(o.now)
        own = {"order_id": o.order_id, "symbol": o.now.symbol, "position": o.now.position}
        yield {"part": "order"} | own | {"before": before, "after": after}
    for c in found.chart:
        change = {"code": c.code, "what": c.what, "before": c.before, "after": c.after}
        yield {"part": "chart"} | change | plain(c.source)


def _account_record(a: AccountDifference) -> dict[str, Any]:
    own = {"part": "account", "code": a.code, "account": a.account}
    return own | plain(a.amount) | _units_record(a.quantity)


def _holding_record(h: HoldingDifference) -> dict[str, Any]:
    own = {"part": "holding", "code": h.code, "symbol": h.symbol}
    return own | plain(h.cost) | _units_record(h.quantity)


def _units_record(figures: Figures | None) -> dict[str, Any]:
    return {f"units_{name}": value for name, value in plain(figures).items()} if figures else {}


def _entry_records(part: str, entry: ChangedEntry) -> Iterator[dict[str, Any]]:
    own = {name: v for name, v in plain(entry).items() if name not in ("source", "postings")}
    for posting in entry.postings:
        yield {"part": part} | plain(posting) | plain(entry.source) | own
