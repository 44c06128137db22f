"""The forms of the capital page: which fields each has, and the command that they ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from flask import request

from aggregates import capital
from aggregates.base import Command
from aggregates.books import ReverseEntry
from aggregates.instrument import RecordSplit, RenameInstrument
from web.capital_fields import LONGEST, READERS, Wrong, currency, rename_fault, today
from web.capital_fields import amount as read_amount
from web.frame import BadInput
from web.shared import shared

LATER = "the reason is still to be given"  # while one looks at what it posts
_NUMBER = re.compile(r"[0-9a-f]{32}")


class Form(NamedTuple):
    """``confirm`` is the word that is typed with the amount before it is booked."""

    title: str
    about: str
    fields: tuple[str, ...]
    button: str
    confirm: str = ""


_MONEY = ("day", "amount", "reference", "reason")
FORMS = {
    "deposit": Form(
        "Deposit", "Owner's money that came into the account, the first or more: float against "
        "opening equity, where the chart keeps all that the owner paid in.",
        _MONEY, "Book the deposit",
    ),
    "withdrawal": Form(
        "Withdrawal", "Money that left the account from the float. A reserve has its own form.",
        ("day", "amount", "purpose", "reference", "reason"), "Book the withdrawal",
    ),
    "dividend": Form(
        "Dividend", "Paid on a security: the gross amount, and the tax that was kept back.",
        ("day", "symbol", "amount", "withheld", "reference", "reason"), "Book the dividend",
    ),
    "withholding": Form(
        "Tax withheld", "Tax kept back on a dividend that the broker states on its own.",
        ("day", "symbol", "amount", "reference", "reason"), "Book the tax",
    ),
    "interest": Form("Interest", "Interest that was credited.", _MONEY, "Book the interest"),
    "fee": Form("Fee", "A fee that was charged, apart from trades.", _MONEY, "Book the fee"),
    "margin": Form(
        "Margin interest", "Interest that was charged.", _MONEY, "Book the margin interest"
    ),
    "split": Form(
        "Split", "New units for old ones in every sleeve that holds the security; cost stays.",
        ("day", "instrument", "new_units", "old_units"), "Book the split",
    ),
    "rename": Form(
        "Rename", "The same security under another symbol: units, cost and its place in the plan "
        "of the holdings stay.",
        ("day", "instrument", "new_symbol"), "Book the rename",
    ),
    "payout": Form(
        "Payout from a reserve",
        "A reserve pays what it is kept for; the money leaves the account.",
        ("day", "purse", "amount", "reference", "reason", "confirm"), "Book the payout", "PAY",
    ),
    "release": Form(
        "Release of a reserve",
        "An override: cash of a reserve becomes float again. It is the only other way by which a "
        "reserve falls, and stays in the history for good.",
        ("day", "purse", "amount", "reference", "reason", "confirm"), "Release the reserve",
        "RELEASE",
    ),
    "reverse": Form(
        "Correction", "An entry is never changed: a reversal posts it with sides exchanged, at "
        "its own date.", ("reason",), "Reverse the entry",
    ),
}  # fmt: skip
_PLAIN: dict[str, type[Any]] = {
    "deposit": capital.RecordDeposit,
    "withdrawal": capital.RecordWithdrawal,
    "dividend": capital.RecordDividend,
    "withholding": capital.RecordWithholding,
    "interest": capital.RecordInterest,
    "fee": capital.RecordFee,
    "margin": capital.RecordMarginInterest,
}


@dataclass
class Sent:
    """One form as it was sent, with what is wrong by field; empty for one that nobody sent."""

    what: str
    values: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    position: int = 0  # of the entry that is reversed

    def value(self, what: str, name: str, otherwise: str = "") -> str:
        return self.values.get(name, otherwise) if what == self.what else otherwise

    def fault(self, what: str, name: str) -> str:
        return self.faults.get(name, "") if what == self.what else ""

    @property
    def form(self) -> Form:
        return FORMS[self.what]

    @property
    def words(self) -> str:
        """What is to be typed; the amount is a word while it cannot be read."""
        try:
            amount = read_amount(self.values.get("amount", ""))
        except Wrong:
            return f"{self.form.confirm} AMOUNT {currency()}"
        return f"{self.form.confirm} {amount:f} {currency()}"


def sent_form(what: str, position: int = 0) -> Sent:
    """What the browser sent, its ends trimmed."""
    names = FORMS[what].fields
    values = {name: request.form.get(name, "").strip()[: LONGEST + 1] for name in names}
    return Sent(what, values, position=position)


def command_of(sent: Sent, *, booking: bool) -> Command | None:
    """The command, or None with the faults in ``sent``. What it posts can be seen before there is
    a reason and a confirmation; it is booked with both."""
    read = _read(sent)
    needed = sent.faults.keys() - (() if booking else ("reason", "confirm"))
    return None if needed else _command(sent, read)


def _read(sent: Sent) -> dict[str, Any]:
    """Every field as a value; what is wrong goes to the faults."""
    read: dict[str, Any] = {}
    for name in sent.form.fields:
        try:
            if name == "confirm":
                _check_confirmed(sent.values[name], sent.words)
            else:
                read[name] = READERS[name](sent.values[name])
        except Wrong as e:
            sent.faults[name] = str(e)
    if {"amount", "withheld"} <= read.keys() and read["withheld"] > read["amount"]:
        sent.faults["withheld"] = "At most the gross amount"
    if read.get("new_units", 0) == read.get("old_units", 1):
        sent.faults["new_units"] = "As many as before: that is no split"
    if {"instrument", "new_symbol"} <= read.keys() and (
        fault := rename_fault(read["instrument"], read["new_symbol"])
    ):
        sent.faults["new_symbol"] = fault
    return read


def _check_confirmed(typed: str, words: str) -> None:
    """Spaces and small letters are no fault."""
    if " ".join(typed.split()).casefold() != words.casefold():
        raise Wrong(f"Type {words} to confirm")


def _command(sent: Sent, read: dict[str, Any]) -> Command:
    own: dict[str, Any] = {
        "at": shared().clock.now(),
        "effective_date": read.get("day") or today(),
    }
    if sent.what == "split":
        return RecordSplit(
            **own, instrument_id=read["instrument"], new_units=read["new_units"],
            old_units=read["old_units"],
        )  # fmt: skip
    if sent.what == "rename":
        return RenameInstrument(**own, instrument_id=read["instrument"], symbol=read["new_symbol"])
    own["reason"] = read.get("reason", LATER)
    if sent.what == "reverse":
        return ReverseEntry(**own, reversed_position=sent.position)
    own |= {"currency": currency(), "amount": read["amount"], "reference": reference(sent)}
    if sent.what == "release":
        words = capital.release_words(read["amount"], currency())
        return capital.ReleaseReserve(**own, purse_from=read["purse"], confirmed=words)
    if sent.what == "payout":
        purse = read["purse"]
        words = capital.payout_words(read["amount"], currency())
        return capital.RecordWithdrawal(
            **own, purse=purse, purpose=capital.KEPT_FOR[purse], confirmed=words
        )
    more = {name: read[name] for name in ("purpose", "symbol", "withheld") if name in read}
    return _PLAIN[sent.what](**own, **more)  # type: ignore[no-any-return]


def reference(sent: Sent) -> str:
    """As typed, or one that follows from the form's number: sent twice, it is the same one."""
    if typed := sent.values.get("reference"):
        return typed
    number = request.form.get("command_id", "")
    if not _NUMBER.fullmatch(number):
        raise BadInput("The form came without its number; load the page again and send it anew.")
    return f"page-{number[:16]}"


def booked_under(text: str) -> int:
    """The event under that reference; 0 when it is free."""
    stream = capital.capital_stream(text)
    found = shared().queries.events(stream=stream, topics=("Capital",), limit=1)
    return found[0].position if found and found[0].stream == stream else 0
