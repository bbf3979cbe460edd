"""Analysis of bars: functions from arrays to numbers, without I/O, clock or state."""
