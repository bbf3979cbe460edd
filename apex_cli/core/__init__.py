"""The core: what apex knows and decides, without terminal or network."""
