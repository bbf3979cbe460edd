"""apex: trade decision and execution for the terminal."""

__version__ = "0.1.0"

is_program = False
"""True in a process of apex itself; False in a program of others, where imports leave everything else as it is."""
