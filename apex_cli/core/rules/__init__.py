"""Pure functions over the model: every rule a trader could argue about lives here."""
