"""What the reading commands print. JSON and CSV are for programs, tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from eventstore.verification import Verification
from projections.ledger_records import AsOf, Balance, Entry
from runtime.cli_output import as_json, csv_text, money, plain, table, units, utc
from runtime.queries import EventView, Queries, Status


def status(queries: Queries, form: str) -> None:
    found = queries.status()
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
    width = max(len(p.account) for p in entry.postings)
    for p in entry.postings:
        held = f"  {p.quantity:+,f} units" if p.quantity else ""
        lines.append(f"    {p.code:<12} {p.account:<{width}} {money(p.amount):>14}{held}")
    return "\n".join(lines)


def events(found: list[EventView], form: str) -> None:
    if form == "json":
        click.echo(as_json(found))
    elif form == "csv":
        click.echo(csv_text([plain(e) for e in found]), nl=False)
    else:
        rows = [
            (f"{e.position}", utc(e.recorded_at)[:-4], e.topic, e.stream, e.hash[:12])
            for e in found
        ]
        head = ("Position", "Recorded (UTC)", "Topic", "Stream", "Hash")
        click.echo(table(head, rows, right={0}) if rows else "No events match.")


def verified(result: Verification) -> None:
    if result.intact:
        click.echo(f"Verified: {result.position:,} events, nothing was changed.")
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
