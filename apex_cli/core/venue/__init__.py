"""The matching engine: orders against prices, one for simulation, replay and gateway."""
