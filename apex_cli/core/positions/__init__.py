"""Positions and round trips, computed from fills."""
