"""How results look: plain text, Rich, or one JSON envelope."""
