"""What every chart of accounts must fulfil, and every text that a person types into one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from aggregates.chart_values import Account, AccountType, Chart

LONGEST_NAME, LONGEST_REASON = 60, 300  # characters
_ROLES_BY_TYPE: dict[AccountType, str] = {
    "asset": "cash_float tax_reserve payroll_reserve reinvestment_pool trading_securities"
    " trading_options holdings_securities tax_reserve_vehicle suspense",
    "liability": "tax_payable payroll_payable accrued_fees",
    "equity": "opening_equity owner_draws retained_earnings",
    "income": "gain_short_term gain_long_term dividends interest",
    "expense": "commissions fees margin_interest payroll income_tax withholding_tax rounding",
    "memo": "unrealized slippage",
}
# Every role that a posting rule may name, with the type of its account: a chart without one of
# them cannot be adopted.
ROLE_TYPES: dict[str, AccountType] = {
    role: kind for kind, roles in _ROLES_BY_TYPE.items() for role in roles.split()
}
ROLES = tuple(ROLE_TYPES)
# Each of these has a cost pool for each security; two of them never share one.
TRADING_ROLES = ("trading_securities", "trading_options")
HOLDINGS_ROLES = ("holdings_securities", "tax_reserve_vehicle")
SECURITY_ROLES = TRADING_ROLES + HOLDINGS_ROLES
# The broker's cash, by what it is kept for.
PURSE_ROLES = ("cash_float", "tax_reserve", "payroll_reserve", "reinvestment_pool")
_CODE = re.compile(r"[0-9]{4}")


def faults_of(chart: Chart) -> list[str]:
    """Every fault of a chart in words: duplicates, unknown codes, roles without an account."""
    codes = [a.code for a in chart.accounts]
    faults = [f"account {code} is listed twice" for code in _doubles(codes)]
    faults += [f"account code {c!r} is not four digits" for c in codes if not _CODE.fullmatch(c)]
    faults += [f"account {a.code} has no name" for a in chart.accounts if not a.name.strip()]
    faults += [f"account {a.code} {why}" for a in chart.accounts if (why := parent_fault(chart, a))]
    faults += [f"role {role} has no account" for role in ROLES if role not in chart.mapping]
    for role, code in chart.mapping.items():
        if why := role_fault(chart, role, code):
            faults.append(why)
    return faults


def parent_fault(chart: Chart, account: Account) -> str:
    """Why an account cannot stand where it stands; empty when it can."""
    if not account.under:
        return ""
    parent = chart.account(account.under)
    if parent is None:
        return f"stands under {account.under}, which is not in the chart"
    if parent.type != account.type:
        return f"is of type {account.type}, {parent.code} above it of type {parent.type}"
    if parent.per_instrument:
        return f"stands under {parent.code}, whose places are for its securities"
    if account.active and not parent.active:
        return f"stands under {parent.code}, which is not active"
    return "stands under itself" if account.code in _above(chart, account) else ""


def _above(chart: Chart, account: Account) -> Iterator[str]:
    """The codes over an account, also when they lead in a circle."""
    seen: set[str] = set()
    code = account.under
    while code and code not in seen:
        seen.add(code)
        yield code
        parent = chart.account(code)
        code = parent.under if parent else ""


def role_fault(chart: Chart, role: str, code: str) -> str:
    """Why a role cannot post to an account; empty when it can."""
    account = chart.account(code)
    if role not in ROLE_TYPES:
        return f"role {role} is unknown"
    if account is None or not account.active:
        return f"role {role} names account {code}, which is not an active account"
    if account.type != ROLE_TYPES[role]:
        return f"role {role} posts to an account of type {ROLE_TYPES[role]}, {code} is another"
    if account.per_instrument != (role in SECURITY_ROLES):
        own = "with" if role in SECURITY_ROLES else "without"
        return (
            f"role {role} needs an account {own} one sub-account for each security, unlike {code}"
        )
    # the cash of two purses, or the units of two sleeves, could not be told apart again
    others = [r for r in chart.roles_of(code) if r != role and r in ROLE_TYPES]
    if account.type == "asset" and others:
        return f"role {role} shares account {code} with {others[0]}; assets are kept apart"
    return ""


def _doubles(codes: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    return [c for c in codes if c in seen or seen.add(c)]  # type: ignore[func-returns-value]


# -- what a person types -------------------------------------------------------------------


def code_fault(chart: Chart, code: str) -> str:
    if not _CODE.fullmatch(code):
        return "A code is four digits, such as 5080."
    taken = chart.account(code)
    return f"{code} is taken by {taken.name}; a code is never used again." if taken else ""


def name_fault(chart: Chart, code: str, name: str) -> str:
    """``code`` is the account that is to have the name."""
    if not name.strip():
        return "An account needs a name."
    if len(name) > LONGEST_NAME:
        return f"A name has at most {LONGEST_NAME} characters, this one {len(name)}."
    if odd := hidden_fault(name) or lookalike_fault(name):
        return f"The name {odd}."
    # spreadsheets take what begins otherwise for a formula
    if name != name.strip() or "  " in name or not name[0].isalnum():
        return "A name begins with a letter or digit and has single spaces, none at its ends."
    same = (a for a in chart.accounts if a.name.casefold() == name.casefold() and a.code != code)
    return next((f"{a.code} is called {a.name} already." for a in same), "")


def reason_fault(reason: str) -> str:
    if not reason.strip():
        return "Say why: the reason is kept with the change."
    if len(reason) > LONGEST_REASON:
        return f"A reason has at most {LONGEST_REASON} characters, this one {len(reason)}."
    odd = hidden_fault(reason)
    return f"The reason {odd}." if odd else ""


def hidden_fault(text: str) -> str:
    """What in a text does not show; empty when all does."""
    for character in text:
        # control, format, private and unassigned characters; line and paragraph ends; odd spaces
        hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
        if hidden or (character.isspace() and character != " "):
            return f"holds a character that does not show (U+{ord(character):04X})"
    return ""


def lookalike_fault(text: str) -> str:
    """What in a text looks like what it is not (UTS 39: compatibility forms, mixed alphabets)."""
    if unicodedata.normalize("NFKC", text) != text:
        return "holds characters that look like others; write them plainly"
    alphabets = {unicodedata.name(c, "").partition(" ")[0] for c in text if c.isalpha()}
    if len(alphabets & {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"}) > 1:
        return f"mixes letters of several alphabets ({', '.join(sorted(alphabets)).title()})"
    return ""
