"""Channels to people: Telegram, apprise, console and log, with their secrets."""
