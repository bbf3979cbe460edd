"""Protocols of the client libraries' objects: the attributes that apex reads, the same in both libraries."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class IbContract(Protocol):
    """A security as the broker names it."""

    conId: int
    symbol: str
    secType: str
    lastTradeDateOrContractMonth: str
    strike: float
    right: str
    multiplier: str
    exchange: str
    primaryExchange: str
    currency: str
    localSymbol: str
    tradingClass: str


class IbOrder(Protocol):
    """The terms of an order as the broker reports them."""

    orderId: int
    clientId: int
    permId: int
    action: str
    totalQuantity: float
    filledQuantity: float
    orderType: str
    lmtPrice: float
    auxPrice: float
    trailStopPrice: float
    tif: str
    algoStrategy: str
    ocaGroup: str
    orderRef: str
    parentId: int
    account: str
    whatIf: bool


class IbOrderState(Protocol):
    """What comes with an order: its status, and the answer to what-if."""

    status: str
    completedStatus: str
    completedTime: str
    warningText: str
    initMarginAfter: str
    maintMarginAfter: str
    equityWithLoanAfter: str


class IbExecution(Protocol):
    """One execution."""

    execId: str
    time: datetime
    acctNumber: str
    side: str
    shares: float
    price: float
    permId: int
    clientId: int
    orderId: int
    orderRef: str


class IbCommission(Protocol):
    """What an execution cost."""

    execId: str
    commission: float
    currency: str


class IbAccountValue(Protocol):
    """One value of one account, as text."""

    account: str
    tag: str
    value: str
    currency: str
    modelCode: str


class IbPosition(Protocol):
    """What one account holds of one security."""

    account: str
    contract: IbContract
    position: float
    avgCost: float


class IbTicker(Protocol):
    """The prices of one subscription; NaN or -1 where there is none."""

    last: float
    bid: float
    ask: float
    close: float
    marketDataType: int
    halted: float
    shortableShares: float
    time: datetime | None
