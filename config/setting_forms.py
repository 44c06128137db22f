"""Forms of a setting's text: what is allowed, how it is read and how it is written (M25).

``parse`` raises ValueError with the reason alone; a text is taken only when writing its value
gives the same text again, so that two ways to write one value never look like a change.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from typing import Any

LONGEST = 512  # characters of one text or secret
LONGEST_LIST = 4000
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,9})?", re.ASCII)


class Secret:
    """A text that shows itself only on request; no message, log or repr holds it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(***)" if self._text else "Secret(empty)"


class Form:
    """One kind of setting. ``allowed`` is for people: it stands in messages and the reference."""

    kind: str
    unit: str

    @property
    def allowed(self) -> str:
        raise NotImplementedError

    def parse(self, text: str) -> Any:
        """The value of a text. Raises ValueError with the reason."""
        value = self._value(text)
        if (written := self.text(value)) != text:
            raise ValueError(f"write it as {written}")
        return value

    def text(self, value: Any) -> str:
        return str(value)

    def _value(self, text: str) -> Any:
        raise NotImplementedError


class Switch(Form):
    kind = "on/off"
    unit = ""

    @property
    def allowed(self) -> str:
        return "true, false"

    def text(self, value: Any) -> str:
        return "true" if value else "false"

    def _value(self, text: str) -> bool:
        if text not in ("true", "false"):
            raise ValueError("neither true nor false")
        return text == "true"


@dataclass(frozen=True)
class Number(Form):
    """A number within an inclusive range; ``Whole`` gives int, ``Exact`` gives Decimal."""

    unit: str
    low: Decimal
    high: Decimal

    @property
    def allowed(self) -> str:
        return f"{self.low:f} to {self.high:f} {self.unit}"

    def _number(self, text: str) -> Decimal:
        if not _NUMBER.fullmatch(text):
            raise ValueError(f"not a number of {self.unit}")
        number = Decimal(text)
        if number < self.low:
            raise ValueError("below the least allowed")
        if number > self.high:
            raise ValueError("above the most allowed")
        return number if number else abs(number)


class Whole(Number):
    kind = "whole number"

    def __init__(self, unit: str, low: int, high: int) -> None:
        super().__init__(unit, Decimal(low), Decimal(high))

    def _value(self, text: str) -> int:
        number = self._number(text)
        if "." in text:
            raise ValueError("not a whole number")
        return int(number)


class Exact(Number):
    kind = "number"

    def __init__(self, unit: str, low: str, high: str) -> None:
        super().__init__(unit, Decimal(low), Decimal(high))

    def text(self, value: Any) -> str:
        return f"{value:f}"

    def _value(self, text: str) -> Decimal:
        return self._number(text)


@dataclass(frozen=True)
class WallTime(Form):
    """A time of day to the minute; ``shape`` is its strftime form."""

    unit: str
    shape: str = "%H:%M"
    kind = "time"

    @property
    def allowed(self) -> str:
        return f"{self.text(time(0))} to {self.text(time(23, 59))} ({self.unit})"

    def text(self, value: Any) -> str:
        return f"{value:{self.shape}}"

    def _value(self, text: str) -> time:
        colon = ":" if ":" in self.shape else ""
        found = re.fullmatch(rf"([01]\d|2[0-3]){colon}([0-5]\d)", text, re.ASCII)
        if found is None:
            raise ValueError("not a time of that form")
        return time(int(found[1]), int(found[2]))


@dataclass(frozen=True)
class Choice(Form):
    choices: tuple[str, ...]
    kind = "choice"
    unit = ""

    @property
    def allowed(self) -> str:
        return ", ".join(self.choices)

    def _value(self, text: str) -> str:
        if text not in self.choices:
            raise ValueError(f"no such choice{did_you_mean(text, self.choices)}")
        return text


@dataclass(frozen=True)
class Text(Form):
    """A text of a pattern; ``said`` tells the pattern in words, ``known`` lists all that exist."""

    unit: str
    pattern: str
    said: str
    known: Callable[[], Collection[str]] | None = None
    kind = "text"

    @property
    def allowed(self) -> str:
        return self.said

    def _value(self, text: str) -> str:
        if len(text) > LONGEST or not re.fullmatch(self.pattern, text, re.ASCII):
            raise ValueError("empty" if not text else "not of that form")
        if self.known is not None and text not in (known := self.known()):
            raise ValueError(f"does not exist{did_you_mean(text, known)}")
        return text


@dataclass(frozen=True)
class Words(Form):
    """Different words with commas between them and no space; ``least`` 0 allows none at all."""

    unit: str
    pattern: str
    said: str
    least: int
    most: int
    kind = "list"

    @property
    def allowed(self) -> str:
        return f"{self.least} to {self.most} of: {self.said}; commas between, no spaces"

    def text(self, value: Any) -> str:
        return ",".join(value)

    def _value(self, text: str) -> tuple[str, ...]:
        if len(text) > LONGEST_LIST:
            raise ValueError(f"longer than {LONGEST_LIST} characters")
        words = tuple(text.split(",")) if text else ()
        for number, word in enumerate(words, 1):
            if not re.fullmatch(self.pattern, word, re.ASCII):
                raise ValueError(f"word {number} is not of that form")
        if len(set(words)) < len(words):
            raise ValueError("a word stands there twice")
        if not self.least <= len(words) <= self.most:
            raise ValueError(f"{len(words)} words")
        return words


@dataclass(frozen=True)
class SecretText(Form):
    """A secret, or nothing. Reasons never quote it."""

    least: int
    kind = "secret"
    unit = ""

    @property
    def allowed(self) -> str:
        return f"empty, or {self.least} to {LONGEST} printable characters"

    def text(self, value: Any) -> str:
        return str(value.reveal())

    def _value(self, text: str) -> Secret:
        if text and not self.least <= len(text) <= LONGEST:
            raise ValueError("too short or too long")
        if not text.isprintable():
            raise ValueError("holds a character that cannot be printed")
        return Secret(text)


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Up to two near misses as the end of a sentence, or nothing."""
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word[:64].casefold(), folded, n=2, cutoff=0.7)
    return f" (did you mean {' or '.join(folded[n] for n in near)}?)" if near else ""
