"""Where signals come from and what they are worth: scanners, technical analysis, predictions, scores."""
