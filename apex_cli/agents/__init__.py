"""Agents: what programs that speak the Model Context Protocol may see, and what they may propose."""
