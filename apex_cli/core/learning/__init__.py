"""Learning from closed trades: pure update rules over lessons, and the hook that applies them."""
