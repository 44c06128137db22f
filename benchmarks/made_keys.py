"""The keys of the made-up histories; apart, so that a measured process loads nothing else."""

from __future__ import annotations

import hashlib

from security.data_keys import DataKey, KeyRing

BLIND_KEY = hashlib.sha256(b"tradebot benchmark blind").digest()
PLAIN_KEYS = KeyRing.plain(BLIND_KEY)
DATA_KEY = DataKey(hashlib.sha512(b"tradebot benchmark data").digest(), BLIND_KEY)
SEALED_KEYS = KeyRing({1: DATA_KEY})  # every event is in epoch 1
ALL_KEYS = KeyRing({0: DataKey(b"", BLIND_KEY), 1: DATA_KEY})  # to read either kind
