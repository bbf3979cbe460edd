"""The dashboard: a Textual app that shows values of ``core.reports.board`` and computes nothing itself."""
