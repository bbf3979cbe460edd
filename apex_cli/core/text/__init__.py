"""Readers of text: bytes, tables, documents, cells and fields, and the wording of their errors."""
