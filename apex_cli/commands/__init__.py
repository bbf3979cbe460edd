"""One module per subcommand: parse, call the core, present."""

from __future__ import annotations

GROUPS = {
    "Daily": {
        "status": "Where things stand, and what to do next.",
        "run": "Take signals in, decide, and execute or ask.",
        "approve": "Answer the trades that wait for you.",
        "positions": "What is held: P&L, R, stops, protection overnight.",
        "risk": "What is at risk, together and beside every limit.",
        "close": "Close positions, whole or in part.",
        "move-stop": "Move the stop of a position.",
        "cancel": "Cancel entries that have not filled.",
        "orders": "Working orders.",
        "history": "Closed trades and their statistics.",
        "explain": "Why one signal was traded or not, step by step.",
        "dashboard": "The day on one live screen.",
    },
    "Account and rules": {
        "size": "How many to trade, from entry and stop; no broker.",
        "pdt-status": "Day trades left, the rule in force, the forecast.",
        "import-fills": "Count trades that were made in other programs.",
        "reconcile": "Compare orders and positions with the broker's.",
        "cash": "Pay into the simulated account, or take out.",
        "locks": "What is locked after losses, and until when.",
        "halt": "Stop trading, except for exits and your own close.",
        "reduce": "Open nothing any more; exits only.",
        "resume": "Trade again after halt or reduce.",
    },
    "Research": {
        "report": "Results over time: expectancy, drawdown, costs.",
        "replay": "Try your rules on past prices.",
        "new": "Begin a strategy of your own.",
        "drift": "Compare live trading with a replay of the same days.",
        "learn": "What was learned from closed trades; undo it.",
        "model": "Train prediction models, or go back to one.",
        "files": "Show how a file of prices or signals is read.",
        "export": "Write tables for spreadsheets and taxes.",
    },
    "Set-up and care": {
        "init": "Write a first configuration, or the demo.",
        "config": "Show, change and check the configuration.",
        "doctor": "Check everything, and say what to do.",
        "state": "Check, back up and restore what apex keeps.",
        "notify": "Try the notifications.",
        "heartbeat": "Raise an alarm when the last good run is too old.",
        "help": "Pages to read, here in the terminal.",
        "version": "Versions of apex, Python and the system.",
    },
    "Programs": {
        "listen": "Take signals over HTTP, such as alerts.",
        "events": "What happened, as lines for programs.",
        "mcp": "Let an agent look and propose trades.",
        "gateway": "A paper account on this computer, to rehearse with.",
        "telegram": "Notices and answers by Telegram.",
        "schema": "JSON Schema of what a command prints with --json.",
    },
}
"""What each command is for, short enough for one line of the front page, by group and in the order of that page."""

MODULES = {"halt": "trading_state", "reduce": "trading_state", "resume": "trading_state"}
"""Modules that are not named as their commands."""

COMMANDS = {name: MODULES.get(name, name.replace("-", "_")) for group in GROUPS.values() for name in group}
"""Module under ``apex_cli.commands`` by command name."""
