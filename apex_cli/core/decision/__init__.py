"""From an opportunity and a snapshot to one decision: sizing, checks, brackets, the record of the outcome."""
