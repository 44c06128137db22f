"""The domain: values, commands, events, decisions. Imports nothing of ours; no I/O, no clock."""
