"""Settings as history: what the bot ran with, from when on. Secrets never come here.

Each adoption and each change is a revision, numbered from 1. Who changes settings names the
revision that was looked at, so that two people never overwrite each other unseen.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from aggregates.base import Aggregate, Command, Event, check, record, topic
from aggregates.errors import DomainError

STREAM = "configuration"

# They name the bot and its books: other ones are another bot, in another data folder.
FIXED = ("ENTITY_CODE", "JURISDICTION_CODE", "BROKER_CODE", "BOT_ID", "CURRENCY_CODE")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One key, its text before and after; of a secret, fingerprints, empty for none."""

    key: str
    before: str
    after: str


@topic("Configuration.Adopted")
class SettingsAdopted(Event, frozen=True, kw_only=True):
    """Every key with its value as text."""

    values: dict[str, str]
    reason: str


@topic("Configuration.Changed")
class SettingsChanged(Event, frozen=True, kw_only=True):
    """Only the keys that changed. ``revision`` is that of the settings from here on."""

    revision: int
    changes: tuple[Change, ...]
    reason: str


class AdoptSettings(Command, frozen=True, kw_only=True):
    values: dict[str, str]
    reason: str


class ChangeSettings(Command, frozen=True, kw_only=True):
    """``seen`` is the revision that the changes were decided on."""

    seen: int
    changes: tuple[Change, ...]
    reason: str


class SettingsMoved(DomainError):
    """Somebody changed the settings after the revision that was seen.

    ``changes`` are what differs between that one and ``revision``, the newest.
    """

    def __init__(self, seen: int, revision: int, changes: tuple[Change, ...]) -> None:
        self.seen, self.revision, self.changes = seen, revision, changes
        names = ", ".join(c.key for c in changes) or "nothing that is not back as it was"
        super().__init__(
            f"The settings were changed meanwhile: you saw revision {seen}, now it is {revision} "
            f"({names}). Nothing of yours was saved; compare, and save again."
        )


class Configuration(Aggregate):
    """``values`` has every key that was ever recorded, with its newest text; a secret's
    fingerprint under the secret's name. ``revision`` is 0 before the first adoption."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.values: dict[str, str] = {}
        self.revisions: list[tuple[Change, ...]] = []

    @property
    def revision(self) -> int:
        return len(self.revisions)

    def adopt(self, c: AdoptSettings) -> None:
        check(c.values != self.values, "These settings are in force already.")
        self.emit(record(SettingsAdopted, c))

    def change(self, c: ChangeSettings) -> None:
        check(self.revision > 0, "There are no settings yet that could be changed.")
        self.check_seen(c.seen)
        check(bool(c.changes), "Nothing differs from the settings in force; nothing was saved.")
        _check_changes(c.changes)
        for each in c.changes:
            before = self.values.get(each.key, each.before)
            check(
                before == each.before,
                f"{each.key} is not what the change starts from. Nothing was saved; load the "
                "settings again.",
            )
        self.emit(record(SettingsChanged, c, revision=self.revision + 1))

    def check_seen(self, seen: int) -> None:
        """Raise SettingsMoved unless ``seen`` is the newest revision."""
        if not 0 < seen <= self.revision:
            raise DomainError(
                f"There is no revision {seen} of the settings; the newest is {self.revision}. "
                "Nothing was saved; load the settings again."
            )
        if seen < self.revision:
            raise SettingsMoved(seen, self.revision, merged(self.revisions[seen:]))

    def apply(self, event: Event) -> None:
        if isinstance(event, SettingsAdopted):
            self.revisions.append(_differences(self.values, event.values))
            self.values = event.values
        elif isinstance(event, SettingsChanged):
            self.revisions.append(event.changes)
            self.values = self.values | {c.key: c.after for c in event.changes}


def merged(revisions: Iterable[tuple[Change, ...]]) -> tuple[Change, ...]:
    """What several revisions come to: each key once, and none that is back as it was."""
    found: dict[str, Change] = {}
    for change in (c for changes in revisions for c in changes):
        before = found[change.key].before if change.key in found else change.before
        found[change.key] = Change(key=change.key, before=before, after=change.after)
    return tuple(c for c in found.values() if c.before != c.after)


def _check_changes(changes: tuple[Change, ...]) -> None:
    keys = [c.key for c in changes]
    check(len(set(keys)) == len(keys), "A setting stands twice in one change; nothing was saved.")
    for each in changes:
        check(each.before != each.after, f"{each.key} would stay as it is; nothing was saved.")
        check(
            each.key not in FIXED,
            f"{each.key} is fixed once the books are open: it names the bot or its books. Nothing "
            "was saved; another value is another bot, with a data folder of its own.",
        )


def _differences(before: dict[str, str], after: dict[str, str]) -> tuple[Change, ...]:
    """Between two adoptions; a key that one of them leaves out counts as empty there."""
    return tuple(
        Change(key=key, before=before.get(key, ""), after=after.get(key, ""))
        for key in before | after
        if before.get(key, "") != after.get(key, "")
    )
