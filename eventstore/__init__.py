"""The append-only log: envelope, codec, recorder, hash chain, feed, verification."""
