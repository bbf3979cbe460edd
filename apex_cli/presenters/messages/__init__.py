"""Messages to a person: notices, and what the chat shows."""
