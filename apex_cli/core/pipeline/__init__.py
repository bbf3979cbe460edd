"""From signal to opportunity: the stages before the decision."""
