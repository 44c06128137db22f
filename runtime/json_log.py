"""The name under which the rest of the program adds a line to a log; runtime.logs does it."""

from __future__ import annotations

from runtime.logs import append_line

__all__ = ["append_line"]
