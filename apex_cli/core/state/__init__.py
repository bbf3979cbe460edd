"""The state in memory: typed tables with an undo log."""
