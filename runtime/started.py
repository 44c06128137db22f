"""The end of a process's start-up, for the collector of garbage."""

from __future__ import annotations

import gc


def start_up_is_over() -> None:
    """What is there now stays to the end: it is never looked through for garbage again.

    The modules of a process of pages are half a million objects; looking through them takes 60 ms,
    in the middle of an answer (decision 0021).
    """
    gc.collect()
    gc.freeze()
