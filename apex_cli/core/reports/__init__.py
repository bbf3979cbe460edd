"""What happened, added up for people: the day, positions, trades, the story of one signal."""
