"""What proves who somebody is: the content of the vault's secret ``users``."""

from __future__ import annotations

import msgspec

from aggregates.errors import TradeBotError

SECRET = "users"  # noqa: S105 - its name in the vault  # nosec B105


class Proofs(msgspec.Struct, frozen=True, kw_only=True):
    """Of one user: hash of the password, secret of the second factor, hashes of recovery codes.

    Empty where there is none.
    """

    password: str = ""
    totp: str = ""
    recovery: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Proofs(***)"


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """``pepper`` (32 bytes) keys all hashes; people by user id."""

    pepper: bytes
    people: dict[str, Proofs] = {}

    def __repr__(self) -> str:
        return "Credentials(***)"

    def of(self, user_id: str) -> Proofs:
        return self.people.get(user_id, Proofs())

    def having(self, user_id: str, **changed: object) -> Credentials:
        """The same with some proofs of one user changed."""
        proofs = msgspec.structs.replace(self.of(user_id), **changed)
        return msgspec.structs.replace(self, people=self.people | {user_id: proofs})


def read_credentials(content: bytes) -> Credentials | None:
    """None before the first user. Raises TradeBotError, which quotes nothing of it."""
    # `{}`: what a vault holds from the start, before anybody is registered
    if content.strip() in (b"", b"{}"):
        return None
    try:
        return msgspec.json.decode(content, type=Credentials)
    except msgspec.MsgspecError:
        pass
    raise TradeBotError(
        "The vault's secret `users` cannot be read by this version. Nobody can sign in, nothing "
        "was changed. Use the version that wrote it, or restore storage/ from a backup."
    )


def write_credentials(credentials: Credentials) -> bytes:
    return msgspec.json.encode(credentials)
