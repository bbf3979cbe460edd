"""Every event of the journal, by subject."""
