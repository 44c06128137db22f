"""What the simulated broker refuses at random."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from fractions import Fraction


def draws_refusal(seed: int, share: Decimal, client_order_id: str) -> bool:
    """Whether this order is one of the ``share`` that is refused at random; 0 refuses none.

    Follows from the seed and the id alone: asked again, after a restart too, it draws the same.
    """
    digest = hashlib.sha256(f"{seed}\n{client_order_id}".encode()).digest()
    return int.from_bytes(digest[:8]) < Fraction(share) * 2**64
