"""Files of signals, and the folder that they arrive in."""
