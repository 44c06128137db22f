"""Names of accounts and commodities as hledger and beancount take them, and back again.

An account is named by type, code and, for a security's own account, the suffix that follows the
point in 1110.SYM. Whatever a program refuses in a name is encoded so that it can be read back: no
two accounts ever share a name.

    hledger     assets:1110 Trading securities at cost:BRK.B     Odd characters as %2B
    beancount   Assets:A1110:BRK-2EB                             Odd characters as -2E; X-- in front
                                                                 of what begins with one
"""

from __future__ import annotations

import re

from aggregates.chart_of_accounts import Account, AccountType
from exporters.errors import ExportError

HLEDGER_ROOTS: dict[AccountType, str] = {
    "asset": "assets",
    "liability": "liabilities",
    "equity": "equity",
    "income": "revenues",
    "expense": "expenses",
    "memo": "memo",
}
# beancount has five roots and no other; memo accounts are outside the trial balance, as equity is
# outside the result.
BEANCOUNT_ROOTS: dict[AccountType, str] = {
    "asset": "Assets",
    "liability": "Liabilities",
    "equity": "Equity",
    "income": "Income",
    "expense": "Expenses",
    "memo": "Equity:Memo",
}
_PLAIN_HLEDGER = re.compile(r"[A-Za-z0-9._~-]")
_PLAIN_BEANCOUNT = re.compile(r"[A-Za-z0-9]")
_NAME = re.compile(r"[^\w .,&'+-]+")  # in a chart's name: what could end or divide the account


def hledger_account(code: str, account: Account) -> str:
    """``code`` may be a main account (1010) or a security's (1110.SPY)."""
    main, _, suffix = code.partition(".")
    name = " ".join(_NAME.sub(" ", account.name).split())
    whole = f"{HLEDGER_ROOTS[account.type]}:{main} {name}".rstrip()
    return f"{whole}:{encode_hledger(suffix)}" if suffix else whole


def code_of_hledger(name: str) -> str:
    """The code of an account that ``hledger_account`` named."""
    found = re.fullmatch(r"[a-z]+:(\d{4})(?: [^:]*)?(?::(.+))?", name)
    if found is None:
        raise ExportError(f"{name!r} is not an account of a journal that was exported here.")
    return _joined(found[1], decode_hledger(found[2] or ""))


def beancount_account(code: str, account: Account) -> str:
    main, _, suffix = code.partition(".")
    root = BEANCOUNT_ROOTS[account.type]
    whole = f"{root}:{root[0]}{main}"
    return f"{whole}:{encode_beancount(suffix)}" if suffix else whole


def code_of_beancount(name: str) -> str:
    """The code of an account that ``beancount_account`` named."""
    found = re.fullmatch(r"[A-Z][a-z]+(?::Memo)?:[A-Z](\d{4})(?::(.+))?", name)
    if found is None:
        raise ExportError(f"{name!r} is not an account of a journal that was exported here.")
    return _joined(found[1], decode_beancount(found[2] or ""))


def commodity(suffix: str, currency: str) -> str:
    """The security as hledger's commodity. One that is called like the currency (USD is also the
    ticker of a fund) has its first letter encoded, so that shares never add up with money."""
    encoded = encode_hledger(suffix)
    if encoded == currency:
        return f"%{ord(encoded[0]):02X}{encoded[1:]}"
    return encoded


def encode_hledger(text: str) -> str:
    return "".join(c if _PLAIN_HLEDGER.fullmatch(c) else f"%{ord(c):02X}" for c in text)


def decode_hledger(text: str) -> str:
    return re.sub(r"%([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), text)


def encode_beancount(text: str) -> str:
    """Letters and digits stay. A component begins with a capital or a digit; X-- makes it so, and
    cannot come from the encoding itself, where each - is followed by two hexadecimal digits."""
    encoded = "".join(c if _PLAIN_BEANCOUNT.fullmatch(c) else f"-{ord(c):02X}" for c in text)
    return encoded if re.match(r"[A-Z0-9]", encoded) else f"X--{encoded}"


def decode_beancount(text: str) -> str:
    plain = text.removeprefix("X--")
    return re.sub(r"-([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), plain)


def _joined(main: str, suffix: str) -> str:
    return f"{main}.{suffix}" if suffix else main
