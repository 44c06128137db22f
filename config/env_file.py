"""Files of settings in the ``.env`` form, read strictly: what is unclear is refused with its line.

Accepted, and nothing else:

- UTF-8 without a byte order mark, lines ended by LF or CR LF, at most 64 KiB, 4,096 characters a
  line; no control character but the tab;
- empty lines, and lines whose first character (after spaces) is ``#``;
- ``KEY=VALUE``; spaces and tabs around KEY and around VALUE do not count;
- VALUE in one pair of ``"`` or ``'`` keeps its spaces and any ``#``; the same quote may not stand
  inside, there are no escapes, and nothing may follow the closing quote;
- VALUE without quotes does not begin with a quote and holds no ``#`` after a space: a comment has
  a line of its own;
- ``$`` and a backslash are characters like any other: nothing is expanded.

``KEY=`` gives the empty text. A key that stands twice is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from config.setting_faults import unknown
from config.setting_keys import ENV, ENV_BOT
from config.setting_model import KEYS, Settings
from config.settings import Fault, Given, settings_of

FILE_MAX = 64 * 1024  # bytes
LINE_MAX = 4096  # characters
BLANK = " \t"
QUOTES = ("'", '"')
_COMMENT = re.compile(r"[ \t]#")


@dataclass
class Reading:
    """What has been read so far: texts by key, faults, and the keys that are told of in them."""

    given: dict[str, Given] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)  # key → where it stood first
    faults: list[Fault] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    place: int = 0  # lines read so far, of all files

    def refuse(self, fault: str, *names: str) -> None:
        self.faults.append(Fault(self.place, fault))
        self.told.update(names)


def read_settings(folder: Path) -> Settings:
    """The settings in the files ``.env_bot`` and ``.env`` of a folder; both must be there.

    Raises ConfigError that lists every fault of both files, a line each.
    """
    reading = Reading()
    for file in (ENV_BOT, ENV):
        try:
            with (folder / file).open("rb") as opened:
                read_text(reading, file, opened.read(FILE_MAX + 1))
        except OSError as e:
            reading.refuse(
                f"{file}: cannot be read in {folder}: {e.strerror or type(e).__name__}",
                *(name for name, key in KEYS.items() if key.file == file),
            )
    return settings_of(reading.given, reading.faults, reading.told)


def read_text(reading: Reading, file: str, content: bytes) -> None:
    """Add what the content of one file says. Never raises: what is wrong is among the faults."""
    own = [name for name, key in KEYS.items() if key.file == file]
    try:
        text = _decoded(content)
    except ValueError as e:
        reading.refuse(f"{file}: {e}", *own)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if (stripped := line.removesuffix("\r").strip(BLANK)) and not stripped.startswith("#"):
            _read_line(reading, file, number, stripped)


def file_content(texts: Mapping[str, str]) -> bytes:
    """A file that says these texts when it is read again. Raises ValueError as ``line`` does."""
    return "".join(f"{line(name, text)}\n" for name, text in texts.items()).encode()


def line(name: str, text: str) -> str:
    """``KEY=VALUE`` as ``read_text`` takes it. Raises ValueError, which quotes nothing of it."""
    for value in (text, f'"{text}"', f"'{text}'"):
        with suppress(ValueError):
            if _value(value, len(name) + 1 + len(value)) == text:
                return f"{name}={value}"
    raise ValueError("needs quotes and holds both kinds; leave one kind out")


def _decoded(content: bytes) -> str:
    if len(content) > FILE_MAX:
        raise ValueError(f"longer than {FILE_MAX} bytes; nothing of it was read")
    try:
        text = content.decode()
    except UnicodeDecodeError as e:
        line = content.count(b"\n", 0, e.start) + 1
        raise ValueError(f"line {line}: not UTF-8; nothing of the file was read") from None
    if text.startswith("\ufeff"):
        raise ValueError("line 1: begins with a byte order mark; save the file without one")
    return text


def _read_line(reading: Reading, file: str, number: int, line: str) -> None:
    reading.place += 1
    where = f"{file} line {number}: "
    name, equals, rest = line.partition("=")
    name = name.rstrip(BLANK)
    if not equals:
        # not quoted: it may be the second line of a secret
        reading.refuse(f"{where}no KEY=VALUE; a comment begins with #")
        return
    if name not in KEYS:
        hint = "; leave out the word export" if name.startswith("export ") else ""
        reading.refuse(f"{where}{unknown(name, KEYS)}{hint}")
        return
    if KEYS[name].file != file:
        reading.refuse(f"{where}{name}: belongs in {KEYS[name].file}, not here", name)
        return
    if name in reading.lines:
        reading.refuse(f"{where}{name}: stands in line {reading.lines[name]} already", name)
        reading.given.pop(name, None)
        return
    reading.lines[name] = str(number)
    try:
        reading.given[name] = Given(_value(rest, len(line)), where, reading.place)
    except ValueError as e:
        reading.refuse(f"{where}{name}: {e}", name)


def _value(rest: str, length: int) -> str:
    """The text that a value stands for. Raises ValueError whose reason quotes none of it."""
    text = rest.strip(BLANK)
    if length > LINE_MAX:
        raise ValueError(f"longer than {LINE_MAX} characters")
    control = next((c for c in text if unicodedata.category(c) == "Cc" and c != "\t"), None)
    if control is not None:
        raise ValueError(f"holds the control character U+{ord(control):04X}")
    if text[:1] not in QUOTES:
        if _COMMENT.search(rest):
            raise ValueError("holds # after a space: give the comment its own line, or use quotes")
        return text
    quote, inside = text[0], text[1:-1]
    if len(text) < 2 or text[-1] != quote:
        raise ValueError("the quote that opens the value does not close at its end")
    if quote in inside:
        raise ValueError("holds the quote that it is written in; use the other kind")
    return inside
