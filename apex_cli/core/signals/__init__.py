"""Sources of signals and their evaluation: scanners, technical analysis, predictions, scores."""
