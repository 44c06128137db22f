"""Errors of the rooms below, for callers that may not look into those."""

from __future__ import annotations

from eventstore.errors import CommandConflict, ConcurrentChange
from security.keyfile import KeyFileError

# Somebody else was first: load again, look, decide anew.
OVERTAKEN = (ConcurrentChange, CommandConflict)


class RecordedAlready(KeyFileError):
    """The change is in the history; its keys could not be put in force after it."""
