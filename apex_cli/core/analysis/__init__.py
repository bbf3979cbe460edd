"""Numbers made of bars: arrays in, numbers out; no I/O, no clock, no state."""
