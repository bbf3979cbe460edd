"""The dashboard: a Textual app that shows values of ``core.board`` and computes nothing itself."""
