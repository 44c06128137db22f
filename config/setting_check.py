"""Every fault of texts that a person is typing, with the keys that it is about (M25).

``settings_from`` says the same to whom starts the bot; here each fault can stand beside its field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from config.setting_faults import beside, unknown
from config.setting_model import KEYS, Settings
from config.setting_rules import contradictions


class Finding(NamedTuple):
    """What is wrong, in words that quote no secret, and the keys that it is about.

    ``across``: the values are allowed alone and contradict each other.
    """

    keys: tuple[str, ...]
    text: str
    across: bool = False


def findings(values: Mapping[str, str]) -> list[Finding]:
    """Empty exactly when ``settings_from`` of the same texts gives settings."""
    parsed, found = {}, []
    for name, text in values.items():
        if name not in KEYS:
            found.append(Finding((name,), unknown(name, KEYS)))
            continue
        try:
            parsed[name] = KEYS[name].form.parse(text)
        except ValueError as e:
            found.append(Finding((name,), beside(KEYS[name], text, str(e))))
    for name, key in KEYS.items():
        if key.required and name not in values:
            found.append(Finding((name,), f"missing; allowed: {key.form.allowed}"))
    bad = {name for finding in found for name in finding.keys}
    across = contradictions(Settings(**parsed), bad)
    return found + [Finding(_named(rule.keys, said), said, across=True) for rule, said in across]


def _named(keys: tuple[str, ...], said: str) -> tuple[str, ...]:
    """Those keys of a rule that its answer names: the others are not in the way."""
    words = set(re.findall(r"\w+", said))
    return tuple(dict.fromkeys(key for key in keys if key in words))
