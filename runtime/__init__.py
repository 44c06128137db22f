"""The clock and the process: where the concrete parts meet, and what a person starts."""
