"""Which file of the vault holds which settings, and the ``.env`` files that no bot may have (M25).

Every key has one home; the identity alone stands twice, as the specification has it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from aggregates.errors import TradeBotError
from config.env_file import Reading, file_content, read_text
from config.errors import ConfigError
from config.paths import DataFolder
from config.setting_keys import ENV, ENV_BOT
from config.setting_model import KEYS, Settings, text_of

# Name of the secret → prefixes of the keys of .env whose home it is.
SERVICES = {
    "broker_credentials": ("ALPACA_", "IBKR_"),
    "smtp_credentials": ("SMTP_",),
    "market_data_credentials": ("FINNHUB_",),
}
ENV_FILES = {"env_bot": ENV_BOT, "env": ENV}


class StrayFile(TradeBotError):
    """A ``.env`` file lies in the folder of a bot that is provisioned."""


def _homes() -> dict[str, tuple[str, ...]]:
    env = [name for name, key in KEYS.items() if key.file == ENV]
    homes = {
        secret: tuple(name for name in env if name.startswith(prefixes))
        for secret, prefixes in SERVICES.items()
    }
    served = {name for names in homes.values() for name in names}
    return homes | {
        "env_bot": tuple(name for name, key in KEYS.items() if key.file == ENV_BOT),
        "env": tuple(name for name in env if name not in served),
        "bot_identity": tuple(name for name, key in KEYS.items() if key.group == "Identity"),
    }


HOMES = _homes()


def secret_contents(settings: Settings) -> dict[str, bytes]:
    """What the files of the vault hold for these settings, by name of the secret.

    Raises ConfigError when a text cannot be written; ``unwritable`` names such keys before.
    """
    contents = {}
    for secret, names in HOMES.items():
        texts = {name: text_of(settings, name) for name in names}
        try:
            written = file_content(texts) if secret in ENV_FILES else msgspec.json.encode(texts)
        except ValueError as e:
            raise ConfigError(f"{secret}: a setting {e}. Nothing was changed.") from None
        contents[secret] = written
    return contents


def unwritable(texts: Mapping[str, str]) -> dict[str, str]:
    """By key, why its text cannot stand in a ``.env`` file."""
    found = {}
    for name in (name for secret in ENV_FILES for name in HOMES[secret] if name in texts):
        try:
            file_content({name: texts[name]})
        except ValueError as e:
            found[name] = str(e)
    return found


def texts_of_secrets(secret: Callable[[str], bytes]) -> dict[str, str]:
    """Every setting as the vault has it. ``secret`` gives a file's content by its name.

    Raises ConfigError that names every file and line that cannot be used, and quotes none.
    """
    texts: dict[str, str] = {}
    faults: list[str] = []
    for name in HOMES:
        try:
            found = _read(name, secret(name))
        except ValueError as e:
            faults.append(f"{name}: {e}")
            continue
        # the identity stands twice: a second text that differs is no text that could be used
        twice = [key for key, text in found.items() if texts.setdefault(key, text) != text]
        faults += [f"{name}: {key} is not what env_bot says" for key in twice]
    if faults:
        raise ConfigError(
            "The vault's settings cannot be used; nothing was started:\n  " + "\n  ".join(faults)
        )
    return texts


def _read(name: str, content: bytes) -> dict[str, str]:
    if not content:
        raise ValueError("holds nothing")
    if name in ENV_FILES:
        reading = Reading()
        read_text(reading, ENV_FILES[name], content)
        if reading.faults:
            raise ValueError("; ".join(fault.text for fault in reading.faults))
        found = {key: given.text for key, given in reading.given.items()}
    else:
        try:
            found = msgspec.json.decode(content, type=dict[str, str])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ValueError("is no JSON object of texts") from None
    if foreign := sorted(found.keys() - set(HOMES[name])):
        raise ValueError(f"holds {len(foreign)} key(s) that do not belong there")
    return found


def refuse_stray_files(folder: DataFolder) -> None:
    """Once a bot is provisioned, no ``.env`` file is read, and none may look as if it were.

    Raises StrayFile that names each.
    """
    stray = [path for path in _env_files(folder) if os.path.lexists(path)]
    if stray:
        raise StrayFile(
            f"{_listed(stray)} appeared after set-up. Settings come from the history and the vault "
            "alone; such a file is never read, and may hold credentials in clear. Nothing was "
            "started and nothing of it was read: move it away, then start again. Settings are "
            "changed on the settings page."
        )


def loose_files(folder: DataFolder) -> list[str]:
    """Before set-up: what is wrong with the permissions of ``.env`` files, a sentence each."""
    said = []
    for path in (path for path in _env_files(folder) if os.path.lexists(path)):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            said.append(f"{path} is a link; put the file itself there, or remove it.")
        elif mode & 0o077:
            said.append(
                f"{path} can be read or changed by others (permissions "
                f"{stat.S_IMODE(mode):04o}); run: chmod 600 {path}"
            )
    return said


def _env_files(folder: DataFolder) -> list[Path]:
    return [folder.root / name for name in ENV_FILES.values()]


def _listed(paths: list[Path]) -> str:
    return " and ".join(map(str, paths))
