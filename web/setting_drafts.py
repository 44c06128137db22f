"""Secrets that were typed and not saved yet: kept here, as no page ever sends one back."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import NamedTuple, cast

from flask import current_app

NAME = "setting_drafts"
KEPT_S = 900.0  # from the last time that they were typed or looked at
MOST = 50  # of all people together; the oldest goes first


class Draft(NamedTuple):
    owner: str
    texts: Mapping[str, str]
    until: float

    def __repr__(self) -> str:
        return f"Draft({len(self.texts)} secrets)"


class Drafts:
    """By a token that only the page of their owner holds; in memory, for some minutes."""

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        token: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._now, self._token = now, token
        self._lock = Lock()
        self._kept: dict[str, Draft] = {}

    def keep(self, owner: str, texts: Mapping[str, str]) -> str:
        """The token under which they are found again; empty when there are none."""
        if not texts:
            return ""
        token = self._token()
        with self._lock:
            self._drop_old()
            while len(self._kept) >= MOST:
                del self._kept[next(iter(self._kept))]
            self._kept[token] = Draft(owner, dict(texts), self._now() + KEPT_S)
        return token

    def find(self, owner: str, token: str) -> dict[str, str] | None:
        """What is kept; nothing without a token; None when it was not kept, or for another."""
        if not token:
            return {}
        with self._lock:
            self._drop_old()
            found = self._kept.get(token)
        return dict(found.texts) if found and found.owner == owner else None

    def drop(self, token: str) -> None:
        with self._lock:
            self._kept.pop(token, None)

    def _drop_old(self) -> None:
        self._kept = {t: kept for t, kept in self._kept.items() if kept.until > self._now()}


def drafts() -> Drafts:
    """Those of the application that answers this request."""
    return cast(Drafts, current_app.extensions.setdefault(NAME, Drafts()))
