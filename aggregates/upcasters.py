"""Older forms of events, lifted to the present one when they are read.

What is stored never changes: bytes, hash and commitment stay as they were written, and only what is
decoded is of the present form. An upcaster takes the payload of one version as plain JSON data
(decimals and times are text) and gives that of the next. It is pure: its input stays as it is, and
the same input gives the same output. It is total: every payload that was ever stored in that
version can be lifted. tests/golden/events/README.md says how a form gets a new version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aggregates.base import check
from aggregates.catalog import TOPICS

Payload = dict[str, Any]
Upcaster = Callable[[Payload], Payload]

# Topic → version → the function that lifts a payload of that version to the next.
UPCASTERS: dict[str, Mapping[int, Upcaster]] = {}


def register(topic: str, steps: Mapping[int, Upcaster]) -> None:
    """Enter the steps of one topic, from version 1 to the version of its class without a gap.

    Raises DomainError for an unknown topic, a second registration, and a step that is missing or
    leads nowhere.
    """
    check(topic in TOPICS, f"{topic} is no topic; there is nothing to lift.")
    check(topic not in UPCASTERS, f"The upcasters of {topic} are registered twice.")
    _check_steps(topic, steps)
    UPCASTERS[topic] = dict(steps)


def check_complete() -> None:
    """Every topic with an older form can be lifted. Raises DomainError; runs at import."""
    for topic in TOPICS:
        _check_steps(topic, UPCASTERS.get(topic, {}))


def _check_steps(topic: str, steps: Mapping[int, Upcaster]) -> None:
    version = TOPICS[topic].schema_version
    needed = set(range(1, version))
    missing, needless = sorted(needed - steps.keys()), sorted(steps.keys() - needed)
    check(
        not missing,
        f"{topic} is at version {version}, but nothing lifts its version {_listed(missing)}: "
        "register that step in aggregates/upcasters.py.",
    )
    check(
        not needless,
        f"{topic} is at version {version}, so a step from version {_listed(needless)} leads "
        "nowhere; raise the version of its class, or take the step out.",
    )


def _listed(versions: list[int]) -> str:
    return ", ".join(map(str, versions))


def lift(topic: str, version: int, payload: Payload) -> Payload:
    """The payload in the present form; ``version`` is the one that it was stored with."""
    for step in range(version, TOPICS[topic].schema_version):
        payload = UPCASTERS[topic][step](payload)
    return payload


def _earmarked_by_hand(payload: Payload) -> Payload:
    return payload | {"context": ""}


def _withdrawn_unconfirmed(payload: Payload) -> Payload:
    return payload | {"confirmed": ""}


register("Capital.Earmarked", {1: _earmarked_by_hand})
register("Capital.Withdrawn", {1: _withdrawn_unconfirmed})

check_complete()
