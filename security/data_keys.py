"""The keys of event payloads, one for each epoch. A rotation adds an epoch and drops none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from security.keyfile import KeyFileError

SIV_BYTES = 64  # AES-256-SIV, RFC 5297
BLIND_BYTES = 32
PLAIN = 0  # the epoch of payloads that were stored in clear, before there was a vault


class DataKey(NamedTuple):
    """Keys of one epoch: AES-SIV for payloads (64 bytes, none in epoch 0), BLAKE2b for blinds."""

    siv: bytes
    blind: bytes

    def __repr__(self) -> str:
        return "DataKey(***)"


class MissingKey(KeyFileError):
    """A payload's epoch has no key here: it can be verified, and not be read."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        super().__init__(
            f"The key of epoch {epoch} is not here. Nothing was changed. The history can be "
            "verified without it; to read it, use the data folder and the root key of its bot."
        )


class KeyRing:
    """The data keys as far as this process knows them.

    ``reload`` gives them anew: another process may have rotated since they were read.
    """

    def __init__(
        self,
        keys: Mapping[int, DataKey],
        reload: Callable[[], Mapping[int, DataKey]] | None = None,
    ) -> None:
        self._keys = dict(keys)
        self._reload = reload

    @classmethod
    def plain(cls, blind_key: bytes) -> KeyRing:
        """Payloads in clear, commitments under ``blind_key``: demos, and stores from before."""
        return cls({PLAIN: DataKey(b"", blind_key)})

    @property
    def current(self) -> int:
        """The epoch that new payloads are written under."""
        return max(self._keys, default=PLAIN)

    def knows(self, epoch: int) -> bool:
        return epoch in self._keys

    def of(self, epoch: int) -> DataKey:
        """The keys of an epoch, read anew when it is not known yet. Raises MissingKey."""
        found = self._keys.get(epoch)
        if found is None and self._reload is not None:
            self.refresh()
            found = self._keys.get(epoch)
        if found is None:
            raise MissingKey(epoch)
        return found

    def refresh(self) -> None:
        """Read the keys anew, when there is a vault to read them from."""
        if self._reload is not None:
            self._keys.update(self._reload())

    def items(self) -> list[tuple[int, DataKey]]:
        """Every epoch known here with its keys, the oldest first."""
        return sorted(self._keys.items())
