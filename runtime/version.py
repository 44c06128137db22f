"""The version that is stamped on every event."""

VERSION = "0.1.0"
