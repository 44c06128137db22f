"""What the vault holds, and under which file names."""

from __future__ import annotations

# Named by the specification; the two that begin with a dot hold the text of the .env files.
ENV_FILES = ("env_bot", "env")
GUARDED = (
    *ENV_FILES,
    "bot_identity",
    "broker_credentials",
    "smtp_credentials",
    "market_data_credentials",
    "holdings",
    "users",
)
# The vault's own: they are made with it, and nobody sets them by name but a change of signer.
DATA_KEYS, SIGNING_KEY, FINGERPRINT_KEY, RECOVERY = (
    "data_keys",
    "signing_key",
    "fingerprint_key",
    "recovery",
)
OWN = (DATA_KEYS, SIGNING_KEY, FINGERPRINT_KEY, RECOVERY)
NAMES = (*GUARDED, *OWN)


def key_file(name: str) -> str:
    """The wrapped Fernet key of a secret, within its generation."""
    return f"keys/{name}.key"


def secret_file(name: str) -> str:
    """The encrypted secret, within its generation."""
    if name in ENV_FILES:
        return f"secrets/.{name}.enc"
    return f"secrets/{name}.json.enc" if name in GUARDED else f"secrets/{name}.enc"
