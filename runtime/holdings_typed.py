"""What is wrong with a holdings plan while one types: the rules that its save asks, too (M30)."""

from __future__ import annotations

from aggregates.holdings_plan import Plan
from strategies.holdings_rules import Breach, MoneyState, RulesBroken, check_plan

__all__ = ["Breach", "RulesBroken", "breaches_of"]


def breaches_of(plan: Plan, state: MoneyState | None, currency: str) -> tuple[Breach, ...]:
    """Every rule that saving ``plan`` would break, with the figures and what is allowed; none: it
    may be saved. ``state`` is the account's money now."""
    return check_plan(plan, state, currency)
