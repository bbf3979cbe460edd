"""Reports: the day, positions, trades, the history of one signal."""
