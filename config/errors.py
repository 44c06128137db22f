"""Errors of settings, paths, calendars: fatal at start, with every fault named."""

from __future__ import annotations


class ConfigError(Exception):
    """A setting, path or calendar that cannot be used. The text is the whole message."""
