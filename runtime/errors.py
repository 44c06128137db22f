"""Errors of the rooms below, for callers that may not look into those."""

from __future__ import annotations

from eventstore.errors import CommandConflict, ConcurrentChange

# Somebody else was first: load again, look, decide anew.
OVERTAKEN = (ConcurrentChange, CommandConflict)
