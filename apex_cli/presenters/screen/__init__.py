"""Drawing on a terminal: blocks, tables, formats, questions."""
