"""One module per subcommand: parse, call the core, present."""

from __future__ import annotations

GROUPS = {
    "Daily": {
        "status": "status",
        "run": "run",
        "approve": "approve",
        "positions": "positions",
        "risk": "risk",
        "close": "close",
        "move-stop": "move_stop",
        "cancel": "cancel",
        "orders": "orders",
        "history": "history",
        "explain": "explain",
        "dashboard": "dashboard",
    },
    "Account and rules": {
        "size": "size",
        "pdt-status": "pdt_status",
        "import-fills": "import_fills",
        "reconcile": "reconcile",
        "cash": "cash",
        "locks": "locks",
        "halt": "trading_state",
        "reduce": "trading_state",
        "resume": "trading_state",
    },
    "Research": {
        "report": "report",
        "replay": "replay",
        "new": "new",
        "drift": "drift",
        "learn": "learn",
        "model": "model",
        "files": "files",
        "export": "export",
    },
    "Set-up and care": {
        "init": "init",
        "config": "config",
        "doctor": "doctor",
        "state": "state",
        "notify": "notify",
        "heartbeat": "heartbeat",
        "help": "help",
        "version": "version",
    },
    "Programs": {
        "listen": "listen",
        "events": "events",
        "mcp": "mcp",
        "gateway": "gateway",
        "telegram": "telegram",
        "schema": "schema",
    },
}
"""Module under ``apex_cli.commands`` by command name, by what it is for, in the order of the help page."""

COMMANDS = {name: module for group in GROUPS.values() for name, module in group.items()}
