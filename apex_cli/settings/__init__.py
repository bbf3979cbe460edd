"""The configuration: sections, loading, checking, and the reference file."""
