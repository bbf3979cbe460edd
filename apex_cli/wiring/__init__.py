"""Composition: settings in, working parts out."""
