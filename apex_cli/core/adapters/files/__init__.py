"""Readers of files: signals, bars, executions, situations, models."""
