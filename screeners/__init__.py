"""Universe and candidate scans. Empty until screening lands (rows M16, M18)."""
