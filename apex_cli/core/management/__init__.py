"""Looks after open positions and resting entries: stops, targets, holding times, prices."""
