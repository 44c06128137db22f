"""The plan of the long-term holdings: saved, put back, and its file held against its history (M35).

The events are the truth; the vault's encrypted file says the same, so that it can be handed over
alone. It is written in the rotation that records the change: both, or neither. The file has the
plan, never what is held, and ``HOLDINGS_FILE`` is all that the settings know of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Protocol

import msgspec

from aggregates.configuration import STREAM as CONFIGURATION
from aggregates.configuration import Configuration
from aggregates.errors import TradeBotError
from aggregates.holdings_plan import (
    STREAM,
    HoldingsPlan,
    Plan,
    PlanMoved,
    PlanRefused,
    RollBackPlan,
    SavePlan,
)
from config.clock import local_date
from config.settings import Settings
from eventstore.application import Store
from runtime.custody import Custody
from runtime.dispatch import Recorded
from runtime.settings_change import current_settings
from security.secret_names import secret_file
from strategies.holdings_rules import Breach, MoneyState, RulesBroken, check_plan, refuse

__all__ = [
    "FILE", "Breach", "PlanDiffers", "PlanMoved", "PlanRefused", "RulesBroken", "check_plan",
    "check_plan_file", "current_plan", "file_plan", "roll_back_plan", "save_plan",
]  # fmt: skip

IN_VAULT = "holdings"
FILE = PurePath(secret_file(IN_VAULT)).name
TRIES = 3  # a change that is under way while both are read


class PlanDiffers(TradeBotError):
    """The plan's file cannot be used: it is missing, unreadable, or not what the history says."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"The holdings plan's file {FILE} {what}. Nothing was changed, and nothing is bought "
            "or sold for the long-term holdings. The history is what was agreed to: run `tbot "
            "verify`, look at who changed the plan, and save it once more, which writes the file."
        )


class PlanFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of the file: the version of the plan, and the plan."""

    version: int
    plan: Plan


class HasStore(Protocol):
    """A bot, or whatever else has the store."""

    @property
    def store(self) -> Store: ...


def save_plan(
    custody: Custody,
    plan: Plan,
    *,
    seen: int,
    actor: str,
    reason: str,
    command_id: str,
    state: MoneyState | None = None,
) -> Recorded:
    """Record a plan and write its file in the same rotation.

    ``state`` is the account's money now, which the rules look at, too. Raises PlanRefused for a
    plan that is invalid, RulesBroken for one that the account cannot fulfil, PlanMoved when
    somebody saved another since version ``seen``, DomainError when nothing would change.
    """
    settings = _pointing(custody)
    refuse(check_plan(plan, state, settings.CURRENCY_CODE))
    now = custody.clock.now()
    command = SavePlan(
        at=now,
        effective_date=local_date(now, settings.TIMEZONE),
        plan=plan,
        seen=seen,
        reason=reason.strip(),
    )
    return _change(custody, command, plan, actor, command_id)


def roll_back_plan(
    custody: Custody,
    to: int,
    *,
    seen: int,
    actor: str,
    reason: str,
    command_id: str,
    state: MoneyState | None = None,
) -> Recorded:
    """Put an earlier version back, as a new one. Raises as ``save_plan`` does."""
    settings = _pointing(custody)
    plan = custody.store.load(HoldingsPlan, STREAM).of_version(to)
    refuse(check_plan(plan, state, settings.CURRENCY_CODE))
    now = custody.clock.now()
    command = RollBackPlan(
        at=now,
        effective_date=local_date(now, settings.TIMEZONE),
        to=to,
        seen=seen,
        reason=reason.strip(),
    )
    return _change(custody, command, plan, actor, command_id)


def _change(
    custody: Custody, command: SavePlan | RollBackPlan, plan: Plan, actor: str, command_id: str
) -> Recorded:
    """Event and file in one rotation; the file names the version that the event will have."""
    become = _become(command.seen + 1, plan)
    return custody.change(command, actor=actor, command_id=command_id, secrets={IN_VAULT: become})


def current_plan(source: Store | HasStore) -> tuple[int, Plan | None]:
    """Version and plan that the history says are in force; 0 and None before the first save."""
    store = source if isinstance(source, Store) else source.store
    plan = store.load(HoldingsPlan, STREAM)
    return plan.number, plan.plan


def file_plan(custody: Custody) -> Plan | None:
    """The plan that the encrypted file says; None while none is saved. Raises PlanDiffers for a
    file that cannot be read."""
    return _decoded(custody)[1]


def check_plan_file(custody: Custody) -> tuple[int, Plan | None]:
    """``current_plan``, once the file says the same. Raises PlanDiffers."""
    recorded = custody.store.load(Configuration, CONFIGURATION).values
    _check_pointer(recorded.get("HOLDINGS_FILE", FILE))
    for _ in range(TRIES):
        told, held = current_plan(custody), _decoded(custody)
        # a save that came between the two readings: look again
        if told == held:
            return told
        if current_plan(custody) == told:
            break
    raise PlanDiffers(_difference(told[0], held[0]))


def _difference(told: int, held: int) -> str:
    if not held:
        return f"holds nothing, and the history has version {told}"
    if not told:
        return f"holds version {held}, and the history has no plan"
    if held == told:
        return f"holds another plan than version {told} of the history, which it names"
    return f"holds version {held}, and the history has version {told}"


def _decoded(custody: Custody) -> tuple[int, Plan | None]:
    content = custody.secret(IN_VAULT)
    if not content:
        return 0, None
    try:
        found = msgspec.json.decode(content, type=PlanFile)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # what it holds is not quoted: nobody knows what it is
        raise PlanDiffers("cannot be read: it is no plan as this version writes it") from None
    return found.version, found.plan


def _become(version: int, plan: Plan) -> Callable[[bytes], bytes]:
    content = msgspec.json.encode(PlanFile(version=version, plan=plan))
    return lambda _present: content


def _pointing(custody: Custody) -> Settings:
    """The settings in force, whose pointer must lead to the file."""
    settings = current_settings(custody)
    _check_pointer(settings.HOLDINGS_FILE)
    return settings


def _check_pointer(name: str) -> None:
    # HOLDINGS_FILE: where the operator is told that the plan lies; another name leads nowhere
    if name != FILE:
        raise PlanDiffers(f"is not where HOLDINGS_FILE points ({name}); set it to {FILE}")
