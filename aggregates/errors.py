"""Errors of the domain: what happened, what is safe, what to do next."""

from __future__ import annotations


class TradeBotError(Exception):
    """Base of every error that a person may read. The text is the whole message."""


class DomainError(TradeBotError):
    """A command asked for something that the rules forbid; no event was emitted."""


class CurrencyMismatch(DomainError):
    """Two currencies met in one sum."""


class InexactNumber(DomainError, TypeError):
    """A float, a NaN or a number with too many decimals was offered where money must be exact."""
