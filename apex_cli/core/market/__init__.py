"""Market sessions and price steps, as pure functions."""
