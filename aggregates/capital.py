"""Money that moves without a trade: deposits, withdrawals, dividends, interest, fees, earmarks.

Each entry is a stream of its own, named by the reference that the outside world gave it, so the
same entry cannot be booked twice.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Literal

from aggregates.base import Aggregate, Command, Event, check, record, topic
from aggregates.money import Money

Purpose = Literal["draw", "payroll", "income_tax"]
Purse = Literal["float", "tax_reserve", "payroll_reserve", "reinvestment_pool"]
Reserve = Literal["tax_reserve", "payroll_reserve"]

# What was set aside stays set aside: a reserve pays what it is kept for, or is released.
KEPT_FOR: dict[Purse, Purpose] = {"tax_reserve": "income_tax", "payroll_reserve": "payroll"}


def capital_stream(reference: str) -> str:
    return f"capital-{reference}"


class _Entry(Event, frozen=True, kw_only=True):
    reference: str
    currency: str
    amount: Decimal
    reason: str


@topic("Capital.Deposited")
class CapitalDeposited(_Entry, frozen=True, kw_only=True):
    """Owner's money came into the account: cash float against opening equity."""


@topic("Capital.Withdrawn", schema_version=2)
class CapitalWithdrawn(_Entry, frozen=True, kw_only=True):
    """Money left the account from ``purse``, for the owner or for what a reserve was kept for.

    ``confirmed`` is what a person typed for a payout of a reserve; empty where nobody was asked.
    """

    purse: Purse
    purpose: Purpose
    confirmed: str


@topic("Capital.DividendReceived")
class DividendReceived(_Entry, frozen=True, kw_only=True):
    """``amount`` is gross; ``withheld`` is the tax kept back at the source."""

    symbol: str
    withheld: Decimal


@topic("Capital.TaxWithheld")
class TaxWithheld(_Entry, frozen=True, kw_only=True):
    """Tax kept back on a dividend of ``symbol``, told by the broker as an entry of its own."""

    symbol: str


@topic("Capital.InterestReceived")
class InterestReceived(_Entry, frozen=True, kw_only=True):
    pass


@topic("Capital.FeeCharged")
class FeeCharged(_Entry, frozen=True, kw_only=True):
    pass


@topic("Capital.MarginInterestCharged")
class MarginInterestCharged(_Entry, frozen=True, kw_only=True):
    pass


@topic("Capital.RoundingSettled")
class RoundingSettled(_Entry, frozen=True, kw_only=True):
    """The broker adds fractions of the minor unit up before it rounds, the books round each trade:
    what that comes to. ``gained``: the broker has more."""

    gained: bool


@topic("Capital.Earmarked", schema_version=2)
class CapitalEarmarked(_Entry, frozen=True, kw_only=True):
    """Cash moved between the purses of the one account: a transfer, never an expense.

    ``context`` tags its postings: tax-reserve, payroll, reinvestment; empty: an earmark by hand.
    """

    purse_from: Purse
    purse_to: Purse
    context: str


@topic("Capital.ReserveReleased")
class ReserveReleased(_Entry, frozen=True, kw_only=True):
    """Cash of a reserve is cash float again: an override, as ``confirmed`` was typed for it."""

    purse_from: Reserve
    confirmed: str


class _Record(Command, frozen=True, kw_only=True):
    reference: str
    currency: str
    amount: Decimal
    reason: str


class RecordDeposit(_Record, frozen=True, kw_only=True):
    pass


class RecordWithdrawal(_Record, frozen=True, kw_only=True):
    """``confirmed``: ``payout_words`` of the amount, from a page; empty from what asks nobody."""

    added: ClassVar[frozenset[str]] = frozenset({"confirmed"})

    purse: Purse = "float"
    purpose: Purpose = "draw"
    confirmed: str = ""


class RecordDividend(_Record, frozen=True, kw_only=True):
    symbol: str
    withheld: Decimal = Decimal(0)


class RecordWithholding(_Record, frozen=True, kw_only=True):
    symbol: str


class RecordInterest(_Record, frozen=True, kw_only=True):
    pass


class RecordFee(_Record, frozen=True, kw_only=True):
    pass


class RecordMarginInterest(_Record, frozen=True, kw_only=True):
    pass


class RecordRounding(_Record, frozen=True, kw_only=True):
    gained: bool


class Earmark(_Record, frozen=True, kw_only=True):
    added: ClassVar[frozenset[str]] = frozenset({"context"})

    purse_from: Purse
    purse_to: Purse
    context: str = ""


class ReleaseReserve(_Record, frozen=True, kw_only=True):
    """``confirmed`` is what a person typed: ``release_words`` of the amount."""

    purse_from: Reserve
    confirmed: str


def release_words(amount: Decimal, currency: str) -> str:
    """What is typed to release that amount, such as "RELEASE 1500.00 USD"."""
    return f"RELEASE {Money.of(amount, currency).decimal:f} {currency}"


def payout_words(amount: Decimal, currency: str) -> str:
    """What is typed to pay that amount from a reserve, such as "PAY 1500.00 USD"."""
    return f"PAY {Money.of(amount, currency).decimal:f} {currency}"


class CapitalEntry(Aggregate):
    """One movement of money under one reference."""

    def deposit(self, c: RecordDeposit) -> None:
        self.check_new(c)
        self.emit(record(CapitalDeposited, c))

    def withdraw(self, c: RecordWithdrawal) -> None:
        self.check_new(c)
        kept_for = KEPT_FOR.get(c.purse, c.purpose)
        check(
            c.purpose == kept_for,
            f"{c.reference}: the {_words(c.purse)} pays {_words(kept_for)} only. Nothing was "
            "booked; withdraw from the float, or release the reserve first.",
        )
        wanted = payout_words(c.amount, c.currency)
        check(
            c.confirmed in ("", wanted),
            f"{c.reference}: a payout is confirmed by typing {wanted}. Nothing was paid out.",
        )
        self.emit(record(CapitalWithdrawn, c))

    def dividend(self, c: RecordDividend) -> None:
        self.check_new(c)
        withheld = Money.of(c.withheld, c.currency)
        check(
            0 <= withheld.minor <= Money.of(c.amount, c.currency).minor,
            f"Dividend {c.reference}: the tax withheld must be between 0 and the gross amount.",
        )
        self.emit(record(DividendReceived, c))

    def withholding(self, c: RecordWithholding) -> None:
        self.check_new(c)
        self.emit(record(TaxWithheld, c))

    def interest(self, c: RecordInterest) -> None:
        self.check_new(c)
        self.emit(record(InterestReceived, c))

    def fee(self, c: RecordFee) -> None:
        self.check_new(c)
        self.emit(record(FeeCharged, c))

    def margin_interest(self, c: RecordMarginInterest) -> None:
        self.check_new(c)
        self.emit(record(MarginInterestCharged, c))

    def rounding(self, c: RecordRounding) -> None:
        self.check_new(c)
        self.emit(record(RoundingSettled, c))

    def earmark(self, c: Earmark) -> None:
        self.check_new(c)
        check(c.purse_from != c.purse_to, f"{c.reference}: the two purses are the same.")
        check(
            c.purse_from not in KEPT_FOR,
            f"{c.reference}: what is in the {_words(c.purse_from)} stays there until it is paid "
            "out for what it is kept for, or released. Nothing was booked.",
        )
        self.emit(record(CapitalEarmarked, c))

    def release(self, c: ReleaseReserve) -> None:
        """An override: the money goes back to the float, and to nothing else."""
        self.check_new(c)
        check(c.purse_from in KEPT_FOR, f"{c.reference}: only a reserve can be released.")
        wanted = release_words(c.amount, c.currency)
        check(
            c.confirmed == wanted,
            f"{c.reference}: a release is confirmed by typing {wanted}. Nothing was released.",
        )
        self.emit(record(ReserveReleased, c))

    def check_new(self, c: _Record) -> None:
        check(self.version == 0, f"{c.reference} is booked already; nothing was booked again.")
        check(bool(c.reason.strip()), f"{c.reference}: say why the money moves.")
        check(
            Money.of(c.amount, c.currency).minor > 0,
            f"{c.reference}: an amount is above 0; the direction is in the kind of entry.",
        )

    def apply(self, event: Event) -> None:
        """The version alone tells that the reference is taken."""


def _words(name: str) -> str:
    return name.replace("_", " ")
