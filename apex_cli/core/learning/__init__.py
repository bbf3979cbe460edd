"""What closed trades teach: ports and the throttled hook."""
