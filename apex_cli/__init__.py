"""apex: trade decision and execution for the terminal."""

__version__ = "0.1.0"
