"""The words of brokers' exports: names of columns, actions, states, kinds of securities, and who writes which."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from apex_cli.core.model.execution import SecType
from apex_cli.core.text.text_table import plain_name

KNOWN: Mapping[str, tuple[str, ...]] = {
    "time": (
        "filledtime", "exectime", "executiontime", "executedat", "executiondatetime", "filledat", "transactiontime",
        "filltime", "datetime", "executiondate", "timefilled", "datetimefilled", "filleddatetime", "closeddatetime",
        "tradedatetime", "tradetime", "orderexecutiontime", "timeanddate", "timestamp", "time",
        "activitytradedate", "tradedate", "rundate",
        "activitydate", "transactiondate", "date", "td", "closingtime",
        "dateoftrade", "filleddate", "filldate", "entered", "entrytime", "opened",
    ),
    "symbol": ("symbol", "ticker", "instrument", "symbolcusip", "security", "contract", "localsymbol", "stock"),
    "side": (
        "side", "action", "buysell", "bs", "transcode", "transactiontype", "orderside", "boughtsold", "buyorsell",
        "ordertype", "type", "activitysubtype", "direction", "activity", "activitytype",
        "instruction", "tradetype",
    ),
    "quantity": (
        "filledqty", "fillqty", "filled", "qtyfilled", "filledquantity", "execqty", "execquantity", "executedquantity",
        "quantityfilled", "shares", "quantity", "qty", "sharescontracts", "size", "units", "amountofshares",
        "noofshares", "quantityfacevalue", "cumqty",
    ),
    "sec_type": ("sectype", "assetclass", "assetcategory", "assettype", "instrumenttype", "securitytype"),
    "exec_id": ("execid", "executionid", "ibexecid", "key", "fillid", "tradeid", "transactionid", "id", "ref"),
    "order_id": ("orderid", "order", "ordernumber", "orderno", "iborderid", "permid", "orderref"),
    "price": ("price", "avgprice", "averageprice", "fillprice", "filledprice", "tradeprice", "executionprice"),
    "account": ("account", "accountid", "accountnumber", "acctnumber", "clientaccountid", "accountno"),
    "status": ("status", "orderstatus", "state"),
    "effect": ("poseffect", "positioneffect", "openclose", "openorclose", "openclosindicator", "code", "codes"),
    "expiry": ("exp", "expirationdate", "expiration", "expiry", "expdate"),
    "strike": ("strike", "strikeprice"),
    "right": ("callorput", "putcall", "callput", "right", "optiontype", "type"),
    "description": ("description", "name", "securitydescription"),
    "con_id": ("conid", "contractid", "contractidentifier"),
    "currency": ("currency", "curr", "ccy", "currencyprimary"),
    "kind": ("subtype", "activitytype", "transactionsubcode"),
    "category": ("transactioncode", "type"),
    "clock": ("time", "exectime", "executiontime", "tradetime", "timefilled", "filledtime"),
}  # fmt: skip
"""Our column -> ``plain_name`` of its spellings, the likeliest first."""

FILLED = KNOWN["quantity"][:9]
"""Columns that hold what was filled, whatever became of the rest of the order."""

LEAST = ("time", "symbol", "side", "quantity")
BUYS = (
    r"buy|bot|bought|b|bto|btc|bc|cover|long|youbought|boughttoopen|boughttoclose|buytoopen|buytoclose|buytocover|"
    r"buycover|btcov|purchase"
)

SELLS = (
    r"sell|sld|sold|s|sto|stc|ss|short|yousold|selltoopen|selltoclose|sellshort|shortsell|soldshort|sshrt|sshort|soldtoopen|"
    r"soldtoclose|sale"
)

ORDER_TYPES = re.compile(r"^(?:(?:market|limit|stop|trailing)[\s_-]+)+", re.IGNORECASE)
"""What may stand before a purchase or a sale: ``Market buy``, ``Stop limit sell``."""

TRADED = re.compile(r"(?:you )?(?:bought|sold|buy|sell|purchase|sale)\b", re.IGNORECASE)
"""How the description of a trade begins in lists whose other columns do not say the side."""

UNITS = re.compile(r"\s+(?:shares?|contracts?|shs|units?)$", re.IGNORECASE)
CLOSES = re.compile(r"to ?close|to ?cover|buy ?cover|\bcover\b|^bc$|^stc$|^btc$|^c$|^close$|closing", re.IGNORECASE)
OPENS = re.compile(r"to ?open|short|^sto$|^bto$|^ss$|^o$|^open$|opening", re.IGNORECASE)
NO_TRADE = re.compile(
    r"expir|assign|exercis|oexp|oasgn|oexcs|removal|reinvest|split|transfer|journal|dividend|interest|deposit|withdraw|"
    r"merger|spinoff|adjustment|deliver|\bfee|distribution|redemption|tax",
    re.IGNORECASE,
)

CANCEL = re.compile(r"cancel", re.IGNORECASE)
FILLED_WORDS = re.compile(r"fill|execut|complete|fll|flp|done|settled|closed|partial", re.IGNORECASE)
NOT_FILLED = re.compile(
    r"cancel|reject|expired|working|open|pending|queued|new|out|unfilled|not filled|failed", re.IGNORECASE
)

KINDS = {
    "stock": SecType.STK, "stocks": SecType.STK, "equity": SecType.STK, "equities": SecType.STK, "etf": SecType.STK,
    "etfs": SecType.STK, "usequity": SecType.STK, "stk": SecType.STK, "commonstock": SecType.STK, "adr": SecType.STK,
    "option": SecType.OPT, "options": SecType.OPT, "equityoption": SecType.OPT, "usoption": SecType.OPT,
    "equityandindexoptions": SecType.OPT, "indexoption": SecType.OPT, "stockoption": SecType.OPT, "opt": SecType.OPT,
    "call": SecType.OPT, "put": SecType.OPT, "single": SecType.OPT, "etfoption": SecType.OPT,
    "future": SecType.FUT, "futures": SecType.FUT, "fut": SecType.FUT, "futureoption": SecType.FOP,
    "optionsonfutures": SecType.FOP, "fop": SecType.FOP, "futuresoptions": SecType.FOP,
    "forex": SecType.CASH, "cash": SecType.CASH, "fx": SecType.CASH,
    "crypto": SecType.CRYPTO, "cryptocurrency": SecType.CRYPTO, "cryptocurrencies": SecType.CRYPTO,
    "warrants": SecType.WAR, "warrant": SecType.WAR, "structuredproducts": SecType.WAR, "war": SecType.WAR,
    "bond": SecType.BOND, "bonds": SecType.BOND, "fixedincome": SecType.BOND, "treasurybills": SecType.BILL,
    "bill": SecType.BILL, "bills": SecType.BILL,
    "aandelen": SecType.STK, "株式": SecType.STK, "акции": SecType.STK, "варранты": SecType.WAR,
    "aktien": SecType.STK, "acciones": SecType.STK, "actions": SecType.STK, "azioni": SecType.STK, "ações": SecType.STK,
    "股票": SecType.STK, "aktienundindexoptionen": SecType.OPT, "股票和指数期权": SecType.OPT,
    "外汇": SecType.CASH, "期货": SecType.FUT,
}  # fmt: skip

CANCELLED_CODE = "Ca"
NO_TRADE_CODES = frozenset({"Ep", "A", "Ex", "GEA", "AEx", "MEx", CANCELLED_CODE})
UNIQUE_IDS = frozenset({"execid", "executionid", "ibexecid", "fillid"})
"""Columns whose text names one execution and no other."""

UNCOUNTED_KINDS = frozenset({"cfd", "cfds", "fund", "funds", "mutualfund", "mutualfunds", "commodities", "metals"})
"""Kinds of Interactive Brokers that are no securities to be day-traded."""

NO_TRADE_CATEGORIES = frozenset({
    "receivedeliver", "moneymovement",
    "ach", "wire", "check", "dividend", "interest", "fee", "tax", "journal", "transfer", "adjustment",
})  # fmt: skip
"""What tastytrade calls deliveries of options, splits and transfers, and cash that is moved; and types of Tradier.

Source: https://documentation.tradier.com/brokerage-api/accounts/get-account-history
"""

COMBINATIONS = frozenset({"bag", "comb", "combo", "combination"})
NO_TRADE_KINDS = frozenset({"div", "csd", "csw", "jnlc", "int", "fee", "trans"})
"""Kinds of account activities of Alpaca that are no fills."""

SENTENCE = re.compile(r"(?=.*\d)\S+(?: \S+){2,}")
"""Three words and a number: a combination in words, and no symbol."""

SPACE = re.compile(r"[\s_-]+")


class Broker(NamedTuple):
    """How the lists of one broker are known, and what their words mean."""

    name: str
    marks: tuple[frozenset[str], ...] = ()
    """``plain_name`` of columns; all of one set are there."""

    is_us: bool = True
    """Times without a zone are New York's, and numbers have a decimal point."""

    is_mdy: bool = True
    """Dates that do not show it have the month first."""

    is_signed: bool = False
    """Where no column holds sides, purchases and sales differ by the sign of the quantity alone."""

    names_kinds: bool = False
    """Kinds of securities have the names of Interactive Brokers; one that is not known is refused."""

    legs_follow: bool = False
    """A row without a symbol is a combination, and rows of its legs follow."""

    fills_follow: bool = False
    """A row without symbol and side is a further fill of the order above it."""

    has_thousandths: bool = False
    """Strikes in the symbols of options are thousandths without zeros before them: ``AAPL250509C185000``."""

    trade: re.Pattern[str] | None = None
    """How an action of a trade begins, whatever words of other rows stand in the name of a security behind it."""

    no_trade: re.Pattern[str] | None = None
    """What stands behind *trade*, else in a description, where shares moved without a trade."""


def _marks(*sets: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(words.split()) for words in sets)


UNKNOWN = Broker("list of trades", is_us=False, is_mdy=False, names_kinds=True)
STATEMENT = Broker("IB activity statement", is_signed=True, names_kinds=True)
HISTORY = Broker("IB transaction history")
BROKERS = (
    Broker(
        "TWS trade log",
        _marks("action quantity symbol key", "action quantity symbol exch", "action symbol exch time date"),
        is_mdy=False,
    ),
    Broker("ib_insync fills", _marks("execid side shares permid", "execid acctnumber shares")),
    Broker("thinkorswim account statement", _marks("exectime poseffect symbol", "exectime spread side qty")),
    Broker("Webull orders", _marks("filledtime totalqty side", "filledtime timeinforce side"), legs_follow=True),
    Broker(
        "tastytrade history",
        _marks("subtype instrumenttype action", "transactioncode transactionsubcode", "rootsymbol action"),
    ),
    Broker(
        "Robinhood activity",
        _marks("activitydate transcode"),
        no_trade=re.compile(r"option (?:assign|exercis|expir)|dividend reinvest", re.IGNORECASE),
    ),
    Broker(
        "Fidelity history",
        _marks("rundate action"),
        trade=re.compile(r"you (?:bought|sold)", re.IGNORECASE),
        no_trade=re.compile(r"\s+(?:assign|exercis|expir)", re.IGNORECASE),
    ),
    Broker("Schwab history", _marks("action feescomm", "action symbol description quantity fees&comm")),
    Broker(
        "Alpaca activities",
        _marks("activitytype transactiontime", "filledat filledqty side", "transactiontime qty side"),
    ),
    Broker(
        "TradeStation orders",
        _marks("qtyfilled symbol status", "execquantity buyorsell", "filledqty ordertype entered"),
    ),
    Broker(
        "E*TRADE history",
        _marks("transactiondate transactiontype securitytype", "activitytradedate transactiondate activitytype"),
    ),
    Broker("moomoo history", _marks("side fillqty filltime"), fills_follow=True, has_thousandths=True),
    Broker("Vanguard history", _marks("tradedate transactiontype investmentname shares")),
    Broker("Tradier history", _marks("amount date tradetype quantity"), is_signed=True),
    Broker("QuantConnect orders", _marks("time symbol price quantity type status value tag"), is_signed=True),
    Broker("DEGIRO transactions", _marks("isin venue quantity localvalue"), is_us=False, is_mdy=False, is_signed=True),
    Broker(
        "trade blotter",
        _marks(
            "td sd side symbol qty exectime",
            "tradedate executiontime side qty",
            "date time symbol side qty route",
            "date time symbol side quantity route",
        ),
    ),
)


def broker_of(names: Iterable[str]) -> Broker | None:
    """Return whose list has columns of these *names*; None where nothing says it."""
    keys = {plain_name(name) for name in names}
    return next((broker for broker in BROKERS for marks in broker.marks if marks <= keys), None)
