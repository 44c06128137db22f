"""Store and vault of one provisioned bot, open for changes by people."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Self

from aggregates.base import Command
from aggregates.errors import DomainError, TradeBotError
from aggregates.keys import STREAM, Keys, RecordRotation
from config.clock import Clock, to_micros
from config.failpoints import reach
from config.paths import DataFolder
from eventstore.application import Store
from runtime.bot_state import is_open
from runtime.dispatch import Dispatcher, Recorded
from runtime.errors import RecordedAlready
from runtime.followed import Followed
from runtime.keys import committed_generation, open_vault, vault_ring
from runtime.signer_proofs import is_proven
from runtime.version import VERSION
from security.archive import check_recipient
from security.data_keys import KeyRing
from security.generation import MANIFEST, Generation, VaultDamaged
from security.keyfile import KeyFileError
from security.locking import locked
from security.root_keys import RootKeys
from security.secret_names import FINGERPRINT_KEY, GUARDED, NAMES, RECOVERY, SIGNING_KEY
from security.vault import Vault
from security.vault_keys import data_keys_of, fingerprint, key_fingerprints

Edit = Callable[[bytes], bytes]
Fresh = Callable[[int], bytes]
SEED_BYTES = 32  # of the key that signs checkpoints (runtime.signers)


class Custody:
    """What the pages change the bot through. Every change of what the vault guards rotates it.

    All threads may share one; changes are made one after the other, across processes, too.
    """

    def __init__(
        self,
        folder: DataFolder,
        clock: Clock,
        vault: Vault,
        fresh: Fresh = os.urandom,
        keys: KeyRing | None = None,
    ) -> None:
        """``keys`` when the vault cannot give them: its files are damaged and made anew."""
        self.folder, self.clock = folder, clock
        # asked before each change while nobody else can make one; raises when it must not be made
        self.before_change: Callable[[], None] = lambda: None
        self._vault, self._fresh = vault, fresh
        self.store = Store(
            folder.events,
            keys=keys or vault_ring(folder, vault),
            now_us=lambda: to_micros(clock.now()),
            software_version=VERSION,
        )
        self._line = Followed(self.store, Keys, STREAM)

    @classmethod
    def open(cls, folder: DataFolder, clock: Clock) -> Self:
        """Open what was provisioned; what a kill left of a rotation is finished or dropped first.

        Raises StoreUnreadable or KeyFileError: nothing is provisioned, a key is missing or damaged.
        """
        vault = open_vault(folder)
        with locked(folder.storage):
            vault.recover(committed_generation(folder))
            if not vault.linked():
                raise KeyFileError(f"{folder.root}: nothing is provisioned here; start `tbot run`.")
            custody = cls(folder, clock, vault)
            try:
                custody._check_manifest(vault.in_force())
            except BaseException:
                custody.close()
                raise
        return custody

    def secret(self, name: str) -> bytes:
        """The content of one secret in the generation in force; empty when there is none."""
        return self.generation().secret(name)

    def generation(self) -> Generation:
        """Every secret of one moment: the newest event's generation, never a mix of two.

        Between the commit of a rotation and the change of the link, that is waited for.
        """
        self._vault.follow(lambda: self.store.head().key_epoch)
        return self._vault.in_force()

    @property
    def root_keys(self) -> RootKeys:
        """Where the root keys lie; which of them is in use, the generation in force tells."""
        return self._vault.roots

    def fingerprint(self, text: str) -> str:
        """An HMAC that names a secret in events and differences without telling it."""
        return fingerprint(self.secret(FINGERPRINT_KEY), "text", text.encode())

    def record(
        self, *commands: Command, actor: str, command_id: str, correlation: str = ""
    ) -> Recorded:
        """Carry out commands that change nothing which the vault guards: sign-ins, denials.

        Raises DomainError for one that does (runtime.dispatch.ROTATES).
        """
        dispatch = Dispatcher(self.store, actor)
        return dispatch(*commands, command_id=command_id, correlation=correlation)

    def change(
        self,
        *commands: Command,
        actor: str,
        command_id: str,
        secrets: Mapping[str, Edit] | None = None,
        new_root_key: bool = False,
    ) -> Recorded:
        """Carry out commands together with a rotation of everything: one batch, or nothing.

        ``secrets`` gives for each secret that changes its new content from the present one;
        ``new_root_key``: the new generation, and those after it, are under another one. Asked
        again under the same id, the first result is given and nothing rotates. Raises what the
        dispatcher raises, and KeyFileError (no room on the disk, a damaged file): then nothing was
        changed, unless the error says that the change is recorded.
        """
        edits = secrets or {}
        _check_names(edits, SIGNING_KEY)
        dispatch = self.dispatcher(actor)
        with locked(self.folder.storage):
            reach("custody.locked")
            before = self._recovered()
            due = self._rotation(commands, before.number + 1)
            if done := dispatch.carried_out(*commands, due, command_id=command_id):
                return done
            self.before_change()
            contents = {name: before.secret(name) for name in NAMES}
            if self._signer_proven():
                contents[SIGNING_KEY] = contents[SIGNING_KEY][:SEED_BYTES]
            for name, edit in edits.items():
                contents[name] = edit(contents[name])
            number, root = before.number + 1, before.root
            if new_root_key:
                root = self._vault.roots.new(number, self._fresh)
            made = self._vault.prepare(
                number, contents, self._fresh, previous=before.manifest_hash, root=root
            )
            return self.put_in_force(made, dispatch, commands, command_id)

    def _signer_proven(self) -> bool:
        """The newest signing key is introduced under the one before, which may be forgotten."""
        signers = self._line.now.signers
        if len(signers) < 2:
            return False
        return is_proven(self.folder.signer_proof(len(signers) - 1), *signers[-2:])

    def dispatcher(self, actor: str) -> Dispatcher:
        """The line of keys grows with every rotation, so it is not loaded anew for each."""
        return Dispatcher(self.store, actor, {STREAM: self._keys})

    def _keys(self) -> Keys:
        return self._line.now.copied()

    def put_in_force(
        self,
        made: Generation,
        dispatch: Dispatcher,
        commands: Sequence[Command],
        command_id: str,
    ) -> Recorded:
        """Record a generation that is on disk: the commit point. The caller holds the lock."""
        reach("custody.prepared")
        own = data_keys_of(made)[made.number]
        rotation = self._rotation(
            commands, made.number, made.manifest_hash, key_fingerprints(made, own)
        )
        under = made.number, own
        try:
            done = dispatch(*commands, rotation, command_id=command_id, under=under)
        except BaseException:
            # dropped, unless the store did record it; if that cannot be told now, at the next start
            with suppress(TradeBotError, KeyFileError, OSError):
                self._vault.recover(committed_generation(self.folder))
            raise
        reach("custody.recorded")
        try:
            self._vault.recover(made.number)
        except KeyFileError as e:
            raise RecordedAlready(f"The change is recorded. {e}") from None
        reach("custody.in_force")
        self.store.keys.refresh()
        return done

    def _rotation(
        self,
        commands: Sequence[Command],
        number: int,
        manifest_hash: str = "",
        fingerprints: tuple[str, ...] = (),
    ) -> RecordRotation:
        """Without its circumstances only the question that a rotation is, to look it up."""
        now = self.clock.now()
        return RecordRotation(
            at=now,
            effective_date=commands[0].effective_date if commands else now.date(),
            generation=number,
            manifest_hash=manifest_hash,
            fingerprints=fingerprints,
        )

    def _recovered(self) -> Generation:
        """The generation in force, after a kill as well, held against the history."""
        self._vault.recover(self.store.head().key_epoch)
        generation = self._vault.in_force()
        self._check_manifest(generation)
        return generation

    def _check_manifest(self, generation: Generation) -> None:
        """The files in force must be those that the event of their rotation tells of."""
        told = self._line.now
        if (told.generation, told.manifest_hash) != (generation.number, generation.manifest_hash):
            raise VaultDamaged(
                generation.folder / MANIFEST, "is not the one that the history tells of"
            )

    def close(self) -> None:
        self.store.close()


def create_custody(
    folder: DataFolder,
    clock: Clock,
    *,
    recovery: str,
    contents: Mapping[str, bytes],
    commands: Sequence[Command],
    actor: str,
    command_id: str,
    progress: Callable[[str], None] = lambda _step: None,
    fresh: Fresh = os.urandom,
) -> Custody:
    """Make root key, generation 1 and the store with one first batch: all of it or nothing.

    ``recovery`` is an age recipient ("age1…"), whose identity the person keeps. ``progress`` is
    told "keys", "secrets" and "store" as each begins. What a kill leaves is dropped by the next
    call, or, when the batch was recorded, finished by ``Custody.open``. Raises KeyFileError,
    DomainError (there is a history already), StoreUnreadable.
    """
    _check_names(contents)
    recipient = check_recipient(recovery)
    folder.storage.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder.storage):
        _check_unused(folder)
        progress("keys")
        vault = Vault.make(folder.storage, os.environ, fresh, reach)
        vault.recover(committed=0)
        own = {
            SIGNING_KEY: fresh(32),
            FINGERPRINT_KEY: fresh(32),
            RECOVERY: recipient.encode(),
        }
        custody = Custody(folder, clock, vault, fresh)
        try:
            progress("secrets")
            made = vault.prepare(1, {**contents, **own}, fresh, previous="")
            progress("store")
            dispatch = custody.dispatcher(actor)
            custody.put_in_force(made, dispatch, commands, command_id)
        except BaseException:
            custody.close()
            raise
    return custody


def _check_names(names: Mapping[str, object], *also: str) -> None:
    unknown = sorted(set(names) - {*GUARDED, *also})
    if unknown:
        raise DomainError(f"The vault has no secret called {', '.join(unknown)}.")


def _check_unused(folder: DataFolder) -> None:
    """A history in clear cannot be given a vault afterwards, and a bot has one already."""
    plain = folder.blind_key.parent
    if is_open(folder) or (plain.exists() and not plain.is_symlink()):
        raise DomainError(
            f"{folder.root} holds a history already. Nothing was changed; use another --data-dir."
        )
