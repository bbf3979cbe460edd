"""Files of trained models."""
