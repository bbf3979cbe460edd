"""What closed trades teach: pure update rules over lessons, and the hook that applies them."""
