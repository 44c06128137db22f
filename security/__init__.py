"""Keys and secrets: what is secret never leaves here as text."""
