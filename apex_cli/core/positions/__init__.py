"""From fills to positions and round trips, and what is known of both."""
