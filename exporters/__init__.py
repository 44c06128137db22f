"""Files for somebody outside: OFX, journals of other programs, the day's trade history."""
