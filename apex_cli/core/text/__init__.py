"""What reads text: bytes, tables, documents, cells and fields, and the words of what is wrong with them."""
