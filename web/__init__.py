"""The pages: a process of its own (`python -m web`) that only asks. Trading goes on without it."""
