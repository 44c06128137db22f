"""What a person has typed into the set-up, in this process's memory alone: a kill forgets it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from threading import RLock
from typing import NamedTuple

from aggregates.errors import TradeBotError
from aggregates.money import Money
from config.clock import Clock
from config.setting_check import Finding, findings
from config.setting_model import KEYS
from config.settings import Settings, settings_from
from runtime.provisioning_job import ProvisioningJob
from runtime.recovery_key import RecoveryKey, new_recovery_key
from runtime.settings_files import unwritable

DEPOSIT = "deposit"
MOST = Decimal(10) ** 12  # major units of an opening deposit
BEFORE_PATTERNS = 40  # characters of a deposit that are looked at


class Step(NamedTuple):
    """One page of the wizard; ``groups`` of settings are on it, whole or as far as ``keys`` say."""

    name: str
    title: str
    keys: tuple[str, ...] = ()


def _of(*groups: str) -> tuple[str, ...]:
    return tuple(name for name, key in KEYS.items() if key.group in groups)


_ACCESS = _of("Broker", "Access to broker and market data")
_BROKER = tuple(name for name in _ACCESS if name.startswith(("BROKER_", "ALPACA_", "IBKR_")))
_DATA = ("SCREENER_NAME", *(name for name in _ACCESS if name.startswith("FINNHUB_")))
_FIRST = (*_of("Identity"), *_BROKER, *_DATA, *_of("Mail"))

CODES = frozenset(
    {"ENTITY_CODE", "JURISDICTION_CODE", "BROKER_CODE", "BOT_ID", "CURRENCY_CODE",
     "EXCHANGE_CALENDAR"}
)  # fmt: skip

STEPS = (
    Step("identity", "Identity and zone", _of("Identity")),
    Step("broker", "Broker", _BROKER),
    Step("data", "Market data", _DATA),
    Step("mail", "Mail", _of("Mail")),
    Step("settings", "Settings", tuple(name for name in KEYS if name not in _FIRST)),
    Step("recovery", "Recovery key"),
    Step("summary", "Check and set up"),
    Step("admin", "First admin"),
)
BY_NAME = {step.name: step for step in STEPS}
NUMBERS = {name: number for number, step in enumerate(STEPS) for name in step.keys}


class SetupSession:
    """One person's set-up. ``key`` is there until it is confirmed, then ``recipient`` is."""

    def __init__(self, token: str, prefilled: Mapping[str, str]) -> None:
        self._digest = _digest(token)
        # an entity has no default: books in the name of nobody would be fixed for good
        self.values = {name: key.default_text for name, key in KEYS.items() if key.required}
        self.values |= {"ENTITY_CODE": "", **prefilled}
        self.deposit = "100000"
        self.key: RecoveryKey | None = None
        self.recipient = ""
        self.visited: set[str] = set()
        self.job: ProvisioningJob | None = None

    def is_of(self, token: str) -> bool:
        return hmac.compare_digest(self._digest, _digest(token))

    def recovery_key(self) -> RecoveryKey:
        """The key to be shown: the same one until it is confirmed."""
        self.key = self.key or new_recovery_key()
        return self.key

    def confirm(self) -> None:
        """The person has the identity: from now on only its recipient is here."""
        if self.key is not None:
            self.recipient, self.key = self.key.recipient, None

    def settings(self) -> Settings:
        """Raises ConfigError while anything is wrong."""
        return settings_from(self.values)

    def settings_so_far(self) -> Settings:
        """What can be used of it, the defaults for the rest: enough to test one step."""
        parsed = {}
        for name, text in self.values.items():
            with suppress(ValueError):
                parsed[name] = KEYS[name].form.parse(text)
        return Settings(**parsed)

    def opening_deposit(self) -> Decimal | None:
        """None at a real broker: its account holds what it holds."""
        if self.values.get("BROKER_NAME", "SIMULATED") != "SIMULATED":
            return None
        return Decimal(self.deposit)

    def faults(self, step: Step) -> list[Finding]:
        """What must be put right on this step. A contradiction is told on the last step of its
        keys: the defaults of later steps are not the fault of an earlier one."""
        number = STEPS.index(step)
        found = [f for f in findings(self.values) if _last(f.keys) == number]
        told = {name for each in found for name in each.keys}
        found += [
            Finding((name,), why)
            for name, why in unwritable(self.values).items()
            if name in step.keys and name not in told
        ]
        if step.name == "identity" and self.values["ENTITY_CODE"].startswith("DEMO"):
            said = "names that begin with DEMO are kept for demos; allowed: any other name"
            found.append(Finding(("ENTITY_CODE",), said))
        if step.name == "broker" and (fault := self.deposit_fault()):
            found.append(Finding((DEPOSIT,), fault))
        return found

    def deposit_fault(self) -> str:
        """What is wrong with the opening deposit; nothing where there is none."""
        allowed = f"allowed: above 0 and up to {MOST:,} in CURRENCY_CODE, such as 100000"
        try:
            amount = self.opening_deposit()
            if amount is None:
                return ""
            plain = len(self.deposit) <= BEFORE_PATTERNS and self.deposit.replace(".", "").isascii()
            if not plain or not 0 < amount <= MOST or set(self.deposit) - set("0123456789."):
                return f"not an amount; {allowed}"
            Money.of(amount, self.values["CURRENCY_CODE"])
        except InvalidOperation:
            return f"not an amount; {allowed}"
        except TradeBotError:
            return f"more decimals than {self.values['CURRENCY_CODE']} has; {allowed}"
        return ""

    def unfinished(self) -> list[Step]:
        """Steps before the summary on which something is still to be done."""
        open_steps = [step for step in STEPS[:5] if self.faults(step)]
        return open_steps if self.recipient else [*open_steps, BY_NAME["recovery"]]


class SetupDesk:
    """At most one set-up session: the token that opens it holds once.

    ``ready`` once there is nothing to set up any more.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = RLock()
        self.ready = False
        self._session: SetupSession | None = None

    def open(self, token: str, prefilled: Mapping[str, str]) -> None:
        """A new session for the browser whose cookie holds ``token``; it ends an older one."""
        self._session = SetupSession(token, prefilled)

    def session(self, token: str) -> SetupSession | None:
        found = self._session
        return found if found is not None and token and found.is_of(token) else None

    def close(self) -> None:
        self._session = None


def printable(text: str) -> str:
    """As typed, but for control characters, which no page may hold."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def in_capitals(name: str, text: str) -> str:
    """A code as it is written, however it was typed; anything else, and what is none, as it is."""
    if name in CODES and text.isascii():
        with suppress(ValueError):
            KEYS[name].form.parse(text.upper())
            return text.upper()
    return text


def _last(keys: Iterable[str]) -> int:
    """The last step that one of the keys is on; one that no step knows is on every step."""
    return max((NUMBERS.get(key, -1) for key in keys), default=-1)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
