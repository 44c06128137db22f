"""What `make bench` measures: our speed as ratios to raw SQLite and to accountants' programs."""
