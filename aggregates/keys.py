"""The vault's keys as history: every rotation, no key twice, and who signs checkpoints (M26)."""

from __future__ import annotations

from typing import ClassVar

from aggregates.base import Aggregate, Command, Event, check, record, topic

STREAM = "keys"


@topic("Keys.Rotated")
class KeysRotated(Event, frozen=True, kw_only=True):
    """The vault's generation from here on, and the first event of the key epoch of its number.

    ``manifest_hash`` (SHA-256, hex) names its files; ``fingerprints`` are HMACs of its keys under
    a key that never leaves the vault.
    """

    generation: int
    manifest_hash: str
    fingerprints: tuple[str, ...]


@topic("Keys.SignerIntroduced")
class SignerIntroduced(Event, frozen=True, kw_only=True):
    """Checkpoints from here on are signed by the new key; the next one still by the old, too.

    Both are verifier keys in the form of C2SP signed-note, ``name+id+base64``: no secret.
    """

    old_vkey: str
    new_vkey: str
    reason: str


@topic("Keys.Renewed")
class KeysRenewed(Event, frozen=True, kw_only=True):
    """A person had all keys renewed without another change; ``root_key``: that one, too."""

    root_key: bool
    reason: str


class RecordRotation(Command, frozen=True, kw_only=True):
    """All of it belongs to the moment: asked again, the first rotation stands."""

    circumstances: ClassVar[frozenset[str]] = frozenset(
        {"at", "effective_date", "generation", "manifest_hash", "fingerprints"}
    )

    generation: int
    manifest_hash: str
    fingerprints: tuple[str, ...]


class IntroduceSigner(Command, frozen=True, kw_only=True):
    """Both keys belong to the moment: asked again, the first new key stands."""

    circumstances: ClassVar[frozenset[str]] = frozenset(
        {"at", "effective_date", "old_vkey", "new_vkey"}
    )

    old_vkey: str
    new_vkey: str
    reason: str


class RenewKeys(Command, frozen=True, kw_only=True):
    root_key: bool
    reason: str


class Keys(Aggregate):
    """The line of generations and of signers."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.generation = 0
        self.manifest_hash = ""
        self.fingerprints: set[str] = set()
        self.signers: list[str] = []

    def copied(self) -> Keys:
        """One to decide with: this one stays as the history has it."""
        same = Keys(self.id)
        same.version, same.generation = self.version, self.generation
        same.manifest_hash, same.signers = self.manifest_hash, list(self.signers)
        same.fingerprints = set(self.fingerprints)
        return same

    def rotate(self, c: RecordRotation) -> None:
        check(
            c.generation == self.generation + 1,
            f"Generation {c.generation} of the keys is not the next one after {self.generation}. "
            "Nothing was changed; try again.",
        )
        check(
            len(set(c.fingerprints)) == len(c.fingerprints) > 0
            and self.fingerprints.isdisjoint(c.fingerprints),
            "A key of the new generation was in use before. Nothing was changed; no key is ever "
            "used twice, so the machine's source of random numbers may be broken: check it first.",
        )
        self.emit(record(KeysRotated, c))

    def introduce_signer(self, c: IntroduceSigner) -> None:
        check(bool(c.reason.strip()), "A new signing key needs a reason.")
        check(
            not self.signers or c.old_vkey == self.signers[-1],
            "The old signing key is not the one in force. Nothing was changed; try again.",
        )
        check(
            c.new_vkey not in (c.old_vkey, *self.signers),
            "The new signing key was in use before. Nothing was changed; make another one.",
        )
        self.emit(record(SignerIntroduced, c))

    def renew(self, c: RenewKeys) -> None:
        check(bool(c.reason.strip()), "Renewing the keys needs a reason.")
        self.emit(record(KeysRenewed, c))

    def apply(self, event: Event) -> None:
        match event:
            case KeysRotated():
                self.generation, self.manifest_hash = event.generation, event.manifest_hash
                self.fingerprints.update(event.fingerprints)
            case SignerIntroduced():
                self.signers = self.signers or [event.old_vkey]
                self.signers.append(event.new_vkey)
