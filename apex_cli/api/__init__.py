"""apex for Python programs: the functions of the commands, with the same rules.

Everything public is named in ``__all__``; what is not there may change without a word. Importing this module is cheap:
numpy, data frames and the library of a broker are imported by the call that needs them.

>>> from apex_cli import api
>>> api.size("NVDA", entry=50, stop=48, settings={"risk": {"capital": 3000}}).quantity
Decimal('3')

Errors are those of the commands: an ``ApexError`` has ``status`` (the exit status that the command would end with),
``code``, ``message``, ``hint`` and ``details``.
"""

from apex_cli.api.apex import Apex
from apex_cli.api.async_account import AsyncApex
from apex_cli.api.decisions import decide
from apex_cli.api.record_lists import Account, Approval, Event, Order
from apex_cli.api.reports import Report, Trade
from apex_cli.api.settings import Settings, load_settings
from apex_cli.api.sizes import Size, size
from apex_cli.api.studies import replay
from apex_cli.core.errors import (
    ApexError,
    BrokerError,
    BusyError,
    ConfigError,
    ExitStatus,
    InputError,
    NothingToDo,
    OutcomeUnknownError,
    RefusedError,
    SecurityError,
    StateError,
)
from apex_cli.core.model.market import Bar
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import SignalOutcome, SignalReport
from apex_cli.core.model.request import Closed
from apex_cli.core.model.row_table import Records
from apex_cli.core.positions.position_views import PositionView
from apex_cli.core.signals.strategy import Context, Signal, Strategy

__all__ = [
    "Account",
    "Apex",
    "ApexError",
    "Approval",
    "AsyncApex",
    "Bar",
    "BrokerError",
    "BusyError",
    "Closed",
    "ConfigError",
    "Context",
    "Event",
    "ExitStatus",
    "InputError",
    "NothingToDo",
    "Order",
    "OutcomeUnknownError",
    "PositionView",
    "Reason",
    "Records",
    "RefusedError",
    "Report",
    "SecurityError",
    "Settings",
    "Signal",
    "SignalOutcome",
    "SignalReport",
    "Size",
    "StateError",
    "Strategy",
    "Trade",
    "decide",
    "load_settings",
    "replay",
    "size",
]
