"""Delivery of notices to channels, at least once and in order."""
