"""How figures, times and events read: for the eye, and the same in words for a screen reader."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from flask import Flask
from markupsafe import Markup, escape

from aggregates.occ import occ_terms
from config.clock import utc_to_local
from web.frame import frame
from web.names import who

# One line about an event, filled from its payload; families without one show their main words.
SUMMARIES = {
    "Books.Opened": "{identity} in {currency}",
    "Books.RulesAdopted": "posting rules {rules_version}",
    "Books.PeriodClosed": "through {through}: {reason}",
    "Books.EntryReversed": "event {reversed_position}: {reason}",
    "Configuration.Changed": "revision {revision} · {reason}",
    "Capital.ReserveReleased": "{purse_from} · {amount} {currency} · {reason}",
    "ChartOfAccounts.Changed": "{subject} {what} · {before} → {after} · {reason}",
    "HoldingsPlan.Saved": "version {version} · {reason}",
    "Keys.Rotated": "generation {generation}",
    "Keys.SignerIntroduced": "a key to sign checkpoints · {reason}",
    "Keys.Renewed": "{reason}",
    "User.Registered": "{name} as {role}",
    "User.RoleChanged": "{who}: {before} → {role} · {reason}",
    "User.Deactivated": "{who} · {reason}",
    "User.Reactivated": "{who} · {reason}",
    "User.PasswordChanged": "{who} · way: {way}",
    "User.SecondFactorEnrolled": "{who}",
    "User.SecondFactorRemoved": "{who} · {reason}",
    "User.RecoveryCodeUsed": "{who}",
    "User.SignedOutEverywhere": "{who}",
    "User.SignedIn": "{who} from {address}",
    "User.SignInFailed": "{who} from {address}: {cause}",
    "User.SignedOut": "{who}",
    "User.Denied": "{who} · {method} {route}, as {role}",
    "User.ResetLinkMade": "{who} · {sent}",
    "Instrument.Registered": "{symbol} · {name}",
    "Instrument.Renamed": "{symbol_before} becomes {symbol}",
    "Instrument.Split": "{symbol}: {new_units} for {old_units}",
    "InverseEtfs.Mapped": "{underlying} → {etf} × {leverage} · {reason}",
    "InverseEtfs.Unmapped": "{underlying}: {etf} taken out · {reason}",
    "Order.Intended": "{side} {quantity} {symbol} · {order_type} · {reason}",
    "Order.Submitted": "{order_id}",
    "Order.Accepted": "{order_id} as {broker_order_id}",
    "Order.Filled": "{side} {quantity} {symbol} at {price}",
    "Order.CancelRequested": "{order_id}: {reason}",
    "Order.Cancelled": "{order_id}: {unfilled_quantity} left · {reason}",
    "Order.Rejected": "{order_id}: {reason}",
    "Order.Expired": "{order_id}: {unfilled_quantity} left",
    "Order.OutcomeUnknown": "{order_id}: {reason}",
    "Screen.UniverseRebuilt": "from {source}: {looked_at} looked at",
    "Screen.UniverseNotRebuilt": "from {source}: {reason}",
    "Screen.CandidatesChosen": "{strategy} from {source}, {mode}: {looked_at} looked at · {said}",
    "Blocklist.Blocked": "{symbol} · {reason}",
    "Blocklist.Unblocked": "{symbol} · {reason}",
    "Session.Opened": "{label}",
    "Session.PhaseStarted": "{phase}",
    "Session.PhaseEnded": "{phase}: {outcome}",
    "Session.Decided": "{symbol} · {kind} · {outcome} · {reason}",
    "Session.Reconciled": "broker's cash {broker_cash}",
    "Session.Closed": "{label}",
    "Prices.Marked": "{occasion}",
    "Control.Requested": "{action} by {source}: {reason}",
    "Control.Answered": "{action}: {effect}",
    "Control.KillStarted": "by {source}: {reason}",
    "Control.KillStepDone": "{step}: {detail}",
    "Control.Killed": "trading is flat: {flat}",
    "Control.KillReset": "{reason}",
    "Control.DefenseSwitched": "active: {active}; {reason}",
    "Reconciliation.Gone": "{difference_id}",
    "Reconciliation.Accepted": "{difference_id} · {amount} · {reason}",
    "Reconciliation.NotKnown": "{occasion}: {reason}",
    "Reconciliation.KnownAgain": "{occasion}",
    "Reconciliation.Compared": "{occasion}: ours {our_cash}, the broker's {broker_cash}",
}
BACKTICKS = re.compile(r"`([^`\n]{1,200})`")
FALLBACK = ("symbol", "amount", "currency", "reason", "label", "reference")


def money(amount: Decimal | None, kind: str = "") -> Markup:
    """Fixed decimals of the currency, a negative amount in parentheses.

    ``kind`` "result" colours gains and losses; "side" leaves zero blank, as in a trial balance.
    """
    if amount is None:
        return Markup('<span class="none">none</span>')
    if kind == "side" and not amount:
        return Markup("")
    text = f"{abs(amount):,.{frame().exponent}f}"
    if amount < 0:
        tone = "money minus loss" if kind == "result" else "money minus"
        return Markup(
            '<span class="{}"><span aria-hidden="true">({})</span>'
            '<span class="for-ears">minus {}</span></span>'
        ).format(tone, text, text)
    tone = "money gain" if kind == "result" and amount else "money"
    return Markup('<span class="{}">{}</span>').format(tone, text)


GROUPED = re.compile(r"-?\d{4,}(\.\d+)?")


def grouped(text: str) -> str:
    """An amount that came as text, with a comma every three digits; other text as it is."""
    return f"{Decimal(text):,f}" if GROUPED.fullmatch(text) else text


def units(quantity: Decimal | None) -> Markup:
    """A number of shares or contracts, without needless zeros; parentheses when negative."""
    if quantity is None:
        return Markup("")
    text = f"{abs(quantity):,.9f}".rstrip("0").rstrip(".")
    if quantity < 0:
        return Markup(
            '<span class="minus"><span aria-hidden="true">({})</span>'
            '<span class="for-ears">minus {}</span></span>'
        ).format(text, text)
    return Markup('<span class="plus">{}</span>').format(text)


def price(value: Decimal | None) -> str:
    """Two to six decimals, as many as the price has."""
    if value is None:
        return ""
    whole, _, decimals = f"{value:,.6f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def count(number: int) -> str:
    return f"{number:,d}"


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def utc_text(value: datetime | str | None) -> str:
    """2013-10-07 13:30:00 UTC."""
    return f"{_moment(value):%Y-%m-%d %H:%M:%S} UTC" if value else "never"


def local_text(value: datetime | str, form: str = "%Y-%m-%d %H:%M:%S %Z") -> str:
    """The same instant in the entity's zone."""
    return utc_to_local(_moment(value), frame().zone).strftime(form)


def when(value: datetime | str | None, form: str = "%H:%M:%S") -> Markup:
    """A time in UTC with the entity's own below it."""
    if not value:
        return Markup('<span class="none">never</span>')
    moment = _moment(value)
    local = utc_to_local(moment, frame().zone)
    # the local date is said only where it is another one
    local_form = "%H:%M:%S %Z" if local.date() == moment.date() else form + " %Z"
    return Markup(
        '<time class="when" datetime="{}">{} <small class="local">{}</small></time>'
    ).format(moment.isoformat(), moment.strftime(form), local.strftime(local_form))


def at_time(value: str, effective: date) -> Markup:
    """The time of an entry; with its date where the entry takes effect on another day."""
    moment = _moment(value)
    form = "%H:%M:%S" if moment.date() == effective else "recorded %Y-%m-%d %H:%M"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.isoformat(), local_text(moment), moment.strftime(form)
    )


def stamp(value: datetime | str | None) -> Markup:
    """Date and time in UTC with the entity's own below it."""
    return when(value, "%Y-%m-%d %H:%M:%S")


def long_day(day: date) -> str:
    return f"{day:%A} {day.day} {day:%B %Y}"


def short_day(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b %Y}"


def short_hash(digest: str) -> str:
    return digest[:12]


def summary(topic: str, payload: dict[str, Any]) -> str:
    """One line about an event."""
    known = {name: value for name, value in payload.items() if not isinstance(value, dict | list)}
    form = SUMMARIES.get(topic)
    if form is not None:
        if known.get("user_id"):
            known["who"] = who(known["user_id"])
        return form.format_map(_Blank(known)).strip(" ·:")
    return " · ".join(str(known[name]) for name in FALLBACK if known.get(name))


class _Blank(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return ""


def span(length: timedelta) -> str:
    """How long something takes, to the unit that matters: 40 s, 12 min, 3 h."""
    seconds = max(1, round(length.total_seconds()))
    if seconds < 100:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


def words(name: str) -> str:
    """A field or state as words: no_instrument → no instrument."""
    return name.replace("_", " ")


def pretty(payload: dict[str, Any]) -> str:
    return json.dumps(payload, indent=2, ensure_ascii=False)


def sentences(text: str) -> Markup:
    """Text with its line breaks kept, and what stands in backticks as code."""
    # a plain text: Markup would escape what is put into it
    lines = "<br>".join(str(escape(line)) for line in text.splitlines())
    return Markup(BACKTICKS.sub(r"<code>\1</code>", lines))  # escaped  # noqa: S704  # nosec


def counted(number: int, one: str, more: str = "") -> str:
    """1 entry, 1,200 entries; without ``more`` its plural ends with an s."""
    return f"{number:,d} {one if number == 1 else more or one + 's'}"


def option_words(symbol: str) -> str:
    """What a put's symbol says: "66 put, 3 Apr 2026"; empty for anything else."""
    terms = occ_terms(symbol)
    return f"{terms.strike:f} {terms.right}, {short_day(terms.expiry)}" if terms else ""


OPTION = re.compile(r"(\d{6})([CP]\d{8})\b")


def foldable(text: str) -> Markup:
    """Where it names an option, a line may break before its right: tables get no wider than need
    be."""
    return Markup(OPTION.sub(r"\1<wbr>\2", str(escape(text))))  # escaped  # noqa: S704  # nosec


FILTERS = (
    money, grouped, units, price, count, utc_text, local_text, when, at_time, stamp, long_day,
    short_day, short_hash, span, words, pretty, sentences, counted, option_words, foldable,
)  # fmt: skip


def add_filters(app: Flask) -> None:
    for each in FILTERS:
        app.add_template_filter(each)
    app.add_template_global(summary)
