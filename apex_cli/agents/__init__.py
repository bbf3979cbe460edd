"""Agents: programs that read and propose trades by the Model Context Protocol."""
