"""The settings of one bot, read from texts (M25). The keys are declared in ``setting_groups``.

A text that cannot be used is never replaced by a guess: every fault is told at once, and nothing
is started. A key that is absent has the default that its table states, or is a fault itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from config.errors import ConfigError
from config.setting_faults import missing, unknown, unusable
from config.setting_model import KEYS, Settings
from config.setting_rules import broken_rules

__all__ = [
    "Fault",
    "Given",
    "Settings",
    "demo_settings",
    "settings_from",
    "settings_of",
]


class Given(NamedTuple):
    """The text that a key was given, where it stands (in words, or nothing), and its place."""

    text: str
    where: str = ""
    place: int = 0


class Fault(NamedTuple):
    """What is wrong, and its place among the lines that were read."""

    place: int
    text: str


def settings_from(values: Mapping[str, str]) -> Settings:
    """The settings of these texts. Raises ConfigError that lists every fault, a line each."""
    return settings_of({name: Given(text) for name, text in values.items()})


def demo_settings(changes: Mapping[str, str] | None = None) -> Settings:
    """What a demo runs with: the tables' defaults, a demo's identity included, and ``changes``.

    Not checked across keys: a demo takes no settings from a person, and tests set limits against
    each other to see them refuse. Raises ConfigError for a key or value that does not exist.
    """
    parsed, faults = _parse({name: Given(text) for name, text in (changes or {}).items()})
    _refuse([fault.text for fault in faults.values()])
    return Settings(**parsed)


def settings_of(
    given: Mapping[str, Given], faults: Iterable[Fault] = (), told: Collection[str] = ()
) -> Settings:
    """As ``settings_from``, with where each text stands.

    ``faults`` are those found while reading; keys of ``told`` are named in them, so nothing more
    is said of these.
    """
    parsed, bad = _parse(given)
    required = (name for name, key in KEYS.items() if key.required)
    absent = [name for name in required if name not in given and name not in told]
    found = sorted([*faults, *bad.values()], key=lambda fault: fault.place)
    settings = Settings(**parsed)
    _refuse(
        [fault.text for fault in found]
        + [missing(name, KEYS[name]) for name in absent]
        + broken_rules(settings, {*bad, *absent, *told})
    )
    return settings


def _parse(given: Mapping[str, Given]) -> tuple[dict[str, Any], dict[str, Fault]]:
    """The values that can be used, and by key the fault of each that cannot."""
    parsed: dict[str, Any] = {}
    faults: dict[str, Fault] = {}
    for name, (text, where, place) in given.items():
        if name not in KEYS:
            faults[name] = Fault(place, where + unknown(name, KEYS))
            continue
        try:
            parsed[name] = KEYS[name].form.parse(text)
        except ValueError as e:
            faults[name] = Fault(place, where + unusable(name, KEYS[name], text, str(e)))
    return parsed, faults


def _refuse(listed: list[str]) -> None:
    if listed:
        raise ConfigError(
            f"{len(listed)} setting(s) cannot be used; nothing was started:\n  "
            + "\n  ".join(listed)
        )
