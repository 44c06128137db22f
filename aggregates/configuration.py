"""Settings as history: what the bot ran with, from when on. Secrets never come here."""

from __future__ import annotations

from aggregates.base import Aggregate, Command, Event, check, record, topic

STREAM = "configuration"


@topic("Configuration.Adopted")
class SettingsAdopted(Event, frozen=True, kw_only=True):
    """Every key with its value as text."""

    values: dict[str, str]
    reason: str


class AdoptSettings(Command, frozen=True, kw_only=True):
    values: dict[str, str]
    reason: str


class Configuration(Aggregate):
    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.values: dict[str, str] = {}

    def adopt(self, c: AdoptSettings) -> None:
        check(c.values != self.values, "These settings are in force already.")
        self.emit(record(SettingsAdopted, c))

    def apply(self, event: Event) -> None:
        if isinstance(event, SettingsAdopted):
            self.values = event.values
