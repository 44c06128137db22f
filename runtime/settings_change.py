"""The settings of a provisioned bot: read from its history and vault, changed by an event (M25).

The history is the truth for what is not secret, the vault for secrets alone. The vault's files say
the rest as well; one that says otherwise than the history blocks the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import NamedTuple

from aggregates.configuration import (
    FIXED,
    STREAM,
    Change,
    ChangeSettings,
    Configuration,
    SettingsMoved,
)
from aggregates.errors import DomainError, TradeBotError
from config.clock import local_date
from config.errors import ConfigError
from config.setting_check import Finding, findings
from config.setting_model import KEYS, Settings, text_of
from config.settings import settings_from
from eventstore.feed import Feed
from projections.ledger_records import AsOf
from runtime.custody import Custody
from runtime.dispatch import Recorded
from runtime.settings_files import (
    loose_files,
    refuse_stray_files,
    secret_contents,
    texts_of_secrets,
    unwritable,
)
from runtime.settings_history import revisions

__all__ = [
    "SettingsDiffer",
    "SettingsMoved",
    "SettingsRefused",
    "SettingsUnusable",
    "carried_out",
    "change_settings",
    "current_settings",
    "faults_of",
    "in_force",
    "loose_files",
    "proposed",
    "refuse_stray_files",
    "secret_contents",
]

REASON_LONGEST = 500  # characters
TRIES = 3  # a change that is under way while settings are read


class SettingsDiffer(TradeBotError):
    """The vault and the history say different settings; ``keys`` are those that differ."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = keys
        super().__init__(
            f"The vault's files and the history disagree about {', '.join(keys)}. Nothing was "
            "started and nothing was changed. The history is what was agreed to: run `tbot "
            "verify`, then put back the storage folder whole from a backup."
        )


class SettingsUnusable(TradeBotError):
    """The settings in force are faulty, every fault a line: a newer version asks for more, or the
    vault's files are damaged."""


class SettingsRefused(DomainError):
    """Texts that cannot be used; ``found`` has every fault with its keys. Nothing was changed."""

    def __init__(self, found: list[Finding]) -> None:
        self.found = found
        lines = [
            each.text if each.across else f"{', '.join(each.keys)}: {each.text}" for each in found
        ]
        super().__init__(
            f"{len(found)} setting(s) cannot be used; nothing was changed:\n  " + "\n  ".join(lines)
        )


class InForce(NamedTuple):
    revision: int
    settings: Settings


class Proposal(NamedTuple):
    """What texts would change. In ``changes`` a secret is its fingerprint, empty for none."""

    revision: int
    before: Settings
    after: Settings
    changes: tuple[Change, ...]


def current_settings(custody: Custody) -> Settings:
    """The settings in force: what later sessions run with.

    Raises SettingsDiffer, or SettingsUnusable with every fault: nothing may be started then.
    """
    return in_force(custody).settings


def settings_at(custody: Custody, position: int) -> Settings:
    """Those that were in force at an event, with the secrets of now: a session that was interrupted
    goes on as it began, whatever was changed for the next one. Raises as ``current_settings``.
    """
    now = current_settings(custody)
    with closing(Feed(custody.folder.events, custody.store.keys)) as feed:
        then = revisions(feed, AsOf(position=position))[-1].values
    secrets = {name: getattr(now, name).reveal() for name in KEYS if _secret(name)}
    recorded = {name: text for name, text in then.items() if not _secret(name)}
    return settings_from(recorded | {name: text for name, text in secrets.items() if text})


def in_force(custody: Custody) -> InForce:
    """The settings and their revision, both of one moment. Raises as ``current_settings``."""
    for _ in range(TRIES):
        configuration = custody.store.load(Configuration, STREAM)
        held = _held(custody)
        differ = _differing(configuration.values, held, custody.fingerprint)
        # a change that came between the two readings: look again
        if not differ and _revision(custody) == configuration.revision:
            break
    if differ:
        raise SettingsDiffer(differ)
    recorded = {n: text for n, text in configuration.values.items() if not _secret(n)}
    try:
        settings = settings_from(recorded | {n: held[n] for n in held if _secret(n)})
    except ConfigError as e:
        raise SettingsUnusable(str(e)) from None
    return InForce(configuration.revision, settings)


def _held(custody: Custody) -> dict[str, str]:
    try:
        return texts_of_secrets(custody.generation().secret)
    except ConfigError as e:
        raise SettingsUnusable(str(e)) from None


def _revision(custody: Custody) -> int:
    return custody.store.load(Configuration, STREAM).revision


def _differing(
    recorded: Mapping[str, str], held: Mapping[str, str], fingerprint: Callable[[str], str]
) -> list[str]:
    differ = []
    for name, key in KEYS.items():
        here = held.get(name, key.default_text)
        if not key.secret:
            same = recorded.get(name, key.default_text) == here
        else:  # a secret that was never changed stands in no event
            same = name not in recorded or recorded[name] == _told(name, here, fingerprint)
        if not same:
            differ.append(name)
    return differ


def faults_of(settings: Settings, texts: Mapping[str, str]) -> list[Finding]:
    """Every fault that these settings would have with ``texts`` in place of some."""
    wanted = {name: text_of(settings, name) for name in KEYS} | dict(texts)
    found = findings(wanted)
    told = {name for each in found for name in each.keys}
    found += [Finding((name,), why) for name, why in unwritable(wanted).items() if name not in told]
    said = "fixed once the books are open; another value is another bot with its own data folder"
    return found + [
        Finding((name,), said) for name in FIXED if wanted[name] != text_of(settings, name)
    ]


def proposed(custody: Custody, texts: Mapping[str, str]) -> Proposal:
    """What ``texts`` would change; a key that they leave out stays as it is, an empty secret is
    cleared. Raises SettingsRefused with every fault, or as ``current_settings`` does."""
    revision, before = in_force(custody)
    if found := faults_of(before, texts):
        raise SettingsRefused(found)
    after = settings_from({name: text_of(before, name) for name in KEYS} | dict(texts))
    changes = tuple(
        Change(
            key=name,
            before=_told(name, text_of(before, name), custody.fingerprint),
            after=_told(name, text_of(after, name), custody.fingerprint),
        )
        for name in KEYS
        if text_of(before, name) != text_of(after, name)
    )
    return Proposal(revision, before, after, changes)


def change_settings(
    custody: Custody,
    texts: Mapping[str, str],
    *,
    seen: int,
    actor: str,
    reason: str,
    command_id: str,
) -> Recorded:
    """Record what ``texts`` change and rotate the vault with it: both, or nothing.

    ``seen`` is the revision that the person looked at. Raises SettingsMoved when there is a newer
    one, SettingsRefused with every fault, DomainError when nothing would change.
    """
    # sent twice: what it changed is in force by now, so it cannot be worked out a second time
    if (done := carried_out(custody, command_id)) and not _changes_anything(custody, texts):
        return Recorded(done, repeated=True)
    custody.store.load(Configuration, STREAM).check_seen(seen)
    _check_reason(reason)
    proposal = proposed(custody, texts)
    now = custody.clock.now()
    command = ChangeSettings(
        at=now,
        effective_date=local_date(now, proposal.before.TIMEZONE),
        seen=seen,
        changes=proposal.changes,
        reason=reason.strip(),
    )
    return custody.change(command, actor=actor, command_id=command_id, secrets=_edits(proposal))


def carried_out(custody: Custody, command_id: str) -> list[int]:
    """Positions of the batch that this command led to already; none when it is new."""
    with closing(Feed(custody.store.path)) as feed:
        own = [row for row in feed.stream(STREAM) if row.command_id == command_id]
        batch = feed.read(own[0].position - 1, 2) if own else []
    return [row.position for row in batch if row.command_id == command_id]


def _changes_anything(custody: Custody, texts: Mapping[str, str]) -> bool:
    settings = current_settings(custody)
    return any(name not in KEYS or text_of(settings, name) != texts[name] for name in texts)


def _check_reason(reason: str) -> None:
    """A note for those who read the history; none is asked for."""
    if len(reason) > REASON_LONGEST:
        raise SettingsRefused([Finding(("reason",), f"longer than {REASON_LONGEST} characters")])
    if not all(c.isprintable() or c in "\r\n\t" for c in reason):
        raise SettingsRefused([Finding(("reason",), "holds a character that cannot be printed")])


def _edits(proposal: Proposal) -> dict[str, Callable[[bytes], bytes]]:
    """The files of the vault whose content changes, each with what gives its new one."""
    before, after = secret_contents(proposal.before), secret_contents(proposal.after)
    return {name: _become(after[name]) for name in after if after[name] != before[name]}


def _become(content: bytes) -> Callable[[bytes], bytes]:
    return lambda _present: content


def _secret(name: str) -> bool:
    return name in KEYS and KEYS[name].secret


def _told(name: str, text: str, fingerprint: Callable[[str], str]) -> str:
    return fingerprint(text) if text and KEYS[name].secret else text
