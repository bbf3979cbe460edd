"""Use cases: settings become working parts here, and one call does what one command asks for."""
