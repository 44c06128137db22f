"""What the reading commands print. JSON and CSV are for programs, tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from aggregates.chart_of_accounts import Chart
from eventstore.verification import Verification
from projections.ledger_records import AsOf, Balance, Entry
from projections.orders import OrderView
from runtime.cli_output import as_json, csv_text, money, plain, table, units, utc
from runtime.decision_replay import Replayed
from runtime.queries import Queries
from runtime.query_records import EventView, Status


def status(found: Status, form: str) -> None:
    if form == "json":
        click.echo(as_json(found))
    elif form == "csv":
        click.echo(csv_text([plain(found)]), nl=False)
    else:
        click.echo(_status_text(found))


def _status_text(s: Status) -> str:
    rows = [
        ("identity", s.identity + ("  (DEMO)" if s.demo else "")),
        ("state", s.state),
        ("events", f"{s.position:,}"),
        ("newest", utc(s.recorded_at) if s.recorded_at else "none yet"),
        ("head hash", s.head_hash),
        ("sessions", f"{s.sessions}" + (f", the last {s.last_session}" if s.last_session else "")),
        ("books in", f"{s.currency}, chart of accounts {s.coa_version}"),
    ]
    return "\n".join(f"{name:<10} {value}" for name, value in rows)


def balances(queries: Queries, as_of: AsOf, form: str) -> None:
    trial = queries.trial_balance(as_of)
    if form == "json":
        click.echo(as_json([plain(b) for b in trial.balances]))
    elif form == "csv":
        click.echo(csv_text([plain(b) for b in trial.balances]), nl=False)
    elif not trial.balances:
        click.echo("No entries up to then.")
    else:
        click.echo(trial_balance_text(trial.balances, trial.debits, trial.credits))


def trial_balance_text(found: Sequence[Balance], debits: Decimal, credits_: Decimal) -> str:
    """Debit and credit columns with their totals, amounts in the books' currency."""
    currency = found[0].currency
    rows = [
        (
            b.code,
            b.account,
            units(b.quantity),
            money(b.amount) if b.amount >= 0 else "",
            money(-b.amount) if b.amount < 0 else "",
        )
        for b in found
    ]
    rows.append(("", "Total", "", money(debits), money(credits_)))
    head = ("Code", "Account", "Units", f"Debit {currency}", f"Credit {currency}")
    return table(head, rows, right={2, 3, 4})


def replayed(found: Replayed, form: str) -> None:
    """How many decisions of each kind there are, and those that come out otherwise."""
    counts = [
        {"kind": kind, "outcome": outcome, "decisions": number}
        for (kind, outcome), number in sorted(found.counts.items())
    ]
    if form == "json":
        unequal = [plain(one) for one in found.unequal]
        click.echo(as_json({"decisions": counts, "unequal": unequal}))
    elif form == "csv":
        click.echo(csv_text([plain(one) for one in found.unequal]), nl=False)
    else:
        click.echo(_replayed_text(counts, found))


def _replayed_text(counts: Sequence[dict[str, Any]], found: Replayed) -> str:
    total = sum(found.counts.values())
    if not total:
        return "No decision is recorded up to then."
    rows = [(c["kind"], c["outcome"], f"{c['decisions']:,}") for c in counts]
    said = [table(("Kind", "Outcome", "Decisions"), rows, right={2}), ""]
    if not found.unequal:
        said.append(f"All {total:,} decisions are derived again as they were recorded.")
    for one in found.unequal:
        said.append(f"Event {one.position}, decision {one.decision_id}:")
        said += [f"  {line}" for line in one.differences]
    if found.unequal:
        said.append(f"{len(found.unequal):,} of {total:,} decisions come out otherwise.")
    return "\n".join(said)


def journal(entries: list[Entry], form: str) -> None:
    if form == "json":
        click.echo(as_json(entries))
    elif form == "csv":
        click.echo(csv_text([line for e in entries for line in _flat(e)]), nl=False)
    elif not entries:
        click.echo("No entries up to then.")
    else:
        click.echo("\n\n".join(map(_entry_text, entries)))


def _flat(entry: Entry) -> list[dict[str, Any]]:
    own = {
        name: "" if getattr(entry, name) is None else getattr(entry, name)
        for name in entry.__struct_fields__
        if name != "postings"
    }
    return [
        own | {"code": p.code, "account": p.account, "amount": p.amount, "quantity": p.quantity}
        for p in entry.postings
    ]


def _entry_text(entry: Entry) -> str:
    lines = [f"{entry.effective_date}  {entry.description}  [event {entry.position}]"]
    code = max(12, *(len(p.code) for p in entry.postings))
    width = max(len(p.account) for p in entry.postings)
    for p in entry.postings:
        held = f"  {p.quantity:+,f} units" if p.quantity else ""
        lines.append(f"    {p.code:<{code}} {p.account:<{width}} {money(p.amount):>14}{held}")
    return "\n".join(lines)


def positions(queries: Queries, as_of: AsOf, form: str) -> None:
    found = queries.positions(as_of)
    if form == "json":
        click.echo(as_json(found))
    elif form == "csv":
        click.echo(csv_text([plain(p) for p in found]), nl=False)
    elif not found:
        click.echo("Nothing is held.")
    else:
        rows = [(p.code, p.symbol, p.name, units(p.quantity), money(p.cost)) for p in found]
        total = sum((p.cost for p in found), Decimal(0))
        rows.append(("", "", "Total", "", money(total)))
        head = ("Code", "Symbol", "Name", "Units", f"Book cost {queries.books().currency}")
        click.echo(table(head, rows, right={3, 4}))


def orders(found: list[OrderView], form: str) -> None:
    if form == "json":
        click.echo(as_json(found))
    elif form == "csv":
        click.echo(csv_text([plain(o) for o in found]), nl=False)
    elif not found:
        click.echo("No order fits.")
    else:
        rows = [
            (
                o.order_id, str(o.effective_date), o.side, o.symbol, o.order_type,
                units(o.quantity), units(o.filled),
                "" if o.average_price is None else f"{o.average_price:,f}", o.state, o.reason,
                str(o.position),
            )
            for o in found
        ]  # fmt: skip
        head = ("Order", "Changed", "Side", "Symbol", "Type", "Wanted", "Filled", "Average",
                "State", "Reason", "Event")  # fmt: skip
        click.echo(table(head, rows, right={5, 6, 7, 10}))


def chart(found: Chart, form: str) -> None:
    roles = {
        a.code: " ".join(role for role, code in found.mapping.items() if code == a.code)
        for a in found.accounts
    }
    if form == "json":
        click.echo(as_json(found))
    elif form == "csv":
        records = [plain(a) | {"parent": a.under, "roles": roles[a.code]} for a in found.accounts]
        click.echo(csv_text(records), nl=False)
    else:
        rows = [
            (
                a.code, a.name, a.type, a.under, "each security" if a.per_instrument else "",
                "" if a.active else "inactive", roles[a.code],
            )
            for a in found.accounts
        ]  # fmt: skip
        head = ("Code", "Account", "Type", "Under", "One for", "State", "What posts there")
        click.echo(f"Chart of accounts, version {found.version}\n{table(head, rows, right=set())}")


def events(found: list[EventView], form: str) -> None:
    if form == "json":
        click.echo(as_json(found))
    elif form == "csv":
        click.echo(csv_text([plain(e) for e in found]), nl=False)
    else:
        rows = [
            (f"{e.position}", utc(e.recorded_at)[:-4], _topic(e), e.stream, e.hash[:12])
            for e in found
        ]
        head = ("Position", "Recorded (UTC)", "Topic", "Stream", "Hash")
        click.echo(table(head, rows, right={0}) if rows else "No events match.")
        for e in found:
            if e.unreadable:
                click.echo(f"\n{e.unreadable}\nAs stored: {as_json(e.payload)}")


def _topic(e: EventView) -> str:
    return f"{e.topic} (cannot be read)" if e.unreadable else e.topic


def verified(result: Verification) -> None:
    if result.intact:
        click.echo(f"Verified: {result.position:,} events, nothing was changed.")
        if result.sealed:
            click.echo(
                f"{result.sealed:,} payloads are sealed under keys that are not here: their chain "
                "was checked, their content was not opened."
            )
        click.echo(f"Head hash {result.head_hash.hex()}")
    else:
        click.echo(f"NOT INTACT: event {result.bad_position:,} is bad: {result.reason}.")
        click.echo(
            f"Events 1 to {result.position:,} hold. Stop the bot, keep this file as it is, and "
            "compare it with a backup."
        )


def rebuilt(output: Path, digest: str, position: int) -> None:
    click.echo(f"Rebuilt the ledger to event {position:,}: {output}")
    click.echo(f"Content digest {digest}")
