"""What a replay of history needs beyond the engine itself: signals in their time, and the sums at the end."""
