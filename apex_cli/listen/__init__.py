"""Signals over HTTP: a server that takes alerts, keeps them safely and answers; deciding is left to the run."""
