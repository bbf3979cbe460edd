"""The state on disk: one TinyDB file, its journal, their checks and their restoration."""
