"""Pages and pictures of a report."""
