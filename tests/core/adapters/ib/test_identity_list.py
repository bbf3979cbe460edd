"""Securities as public contract data names them: every spelling, and the way through contract, state and journal.

Names, classes, currencies and exchanges are those of public listings; of the numbers it only matters that they differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.adapters.ib.securities import contract_fields, instrument_of
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import Instrument, MarketType, OptionRight
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.position import Position
from apex_cli.core.model.records import PositionRecord
from apex_cli.core.model.side import OrderSide, PositionSide
from apex_cli.core.model.spelling import Hints, canonical, of_key, same_security
from apex_cli.core.state.events.event import read_event
from apex_cli.core.state.events.order_events import FillBooked
from kit import FixedClock

D = Decimal
NOW = datetime(2026, 11, 18, 15, tzinfo=UTC)


class Listed(NamedTuple):
    """A contract as the broker lists it, and how people write it."""

    key: str
    fields: dict[str, Any]
    spellings: tuple[str, ...]
    hints: Hints = Hints()


def stock(number: int, symbol: str, place: str, *spellings: str, currency: str = "USD", cls: str = "") -> Listed:
    name = symbol.replace(" ", ".")
    return Listed(
        key=name if currency == "USD" else f"{name}@{currency}",
        fields={
            "conId": number,
            "secType": "STK",
            "symbol": symbol,
            "currency": currency,
            "primaryExchange": place,
            "tradingClass": cls or symbol,
        },
        spellings=spellings or (symbol, symbol.lower(), f" {symbol} "),
        hints=Hints(currency=currency if currency != "USD" else ""),
    )


def shares(number: int, symbol: str, place: str = "NYSE") -> Listed:
    """A share class: IB writes a blank, vendors a point, a dash or a slash."""
    return stock(
        number, symbol, place, *(symbol.replace(" ", mark) for mark in ". -/"), f"NYSE:{symbol}".replace(" ", ".")
    )


def abroad(number: int, symbol: str, place: str, currency: str, *spellings: str) -> Listed:
    return stock(number, symbol, place, *spellings, symbol, currency=currency)


def pair(number: int, base: str, quote: str) -> Listed:
    marks = [f"{base}{mark}{quote}" for mark in (".", "/", "-", "", "_", " ")]
    return Listed(
        key=f"{base}.{quote}@forex",
        fields={
            "conId": number,
            "secType": "CASH",
            "symbol": base,
            "currency": quote,
            "exchange": "IDEALPRO",
            "localSymbol": f"{base}.{quote}",
            "tradingClass": f"{base}.{quote}",
        },
        spellings=(*marks, f"{base}{quote}=X", f"FX:{base}{quote}", f"{base}{quote}".lower()),
    )


def coin(number: int, base: str, quote: str = "USD") -> Listed:
    marks = [f"{base}{mark}{quote}" for mark in ("-", "/", ".", "", "_")]
    return Listed(
        key=f"{base}-{quote}@crypto",
        fields={
            "conId": number,
            "secType": "CRYPTO",
            "symbol": base,
            "currency": quote,
            "exchange": "PAXOS",
            "localSymbol": f"{base}.{quote}",
            "tradingClass": base,
        },
        spellings=(*marks, f"COINBASE:{base}{quote}", f"{base}{quote}".lower()),
    )


def option(  # noqa: PLR0917 - the terms of a contract
    number: int, root: str, day: str, right: str, strike: str, cls: str = "", size: str = "100"
) -> Listed:
    year, month, date = day.split("-")
    compact = (cls or root.replace(" ", "")).ljust(6)
    eight = f"{int(D(strike) * 1000):08d}"
    name = root.replace(" ", ".")
    own = cls if cls and cls != root.replace(" ", "") else ""
    tail = "".join([f" ({own})" if own else "", f" x{size}" if size != "100" else ""])
    occ = f"{compact}{year[2:]}{month}{date}{right}{eight}"
    return Listed(
        key=f"{name}@options {day} {right}{strike}{tail}",
        fields={
            "conId": number,
            "secType": "OPT",
            "symbol": root,
            "currency": "USD",
            "lastTradeDateOrContractMonth": f"{year}{month}{date}",
            "strike": float(strike),
            "right": right,
            "multiplier": size,
            "tradingClass": cls or root.replace(" ", ""),
            "localSymbol": occ,
        },
        spellings=(
            *((occ, occ.replace(" ", ""), occ.lower()) if size == "100" else ()),
            *((f"{name} {day} {strike} {right}", f"{name} {month}/{date}/{year} {strike} {right}") if not tail else ()),
            f"{name}@options {day} {right}{strike}{tail}",
        ),
        hints=Hints(multiplier=D(size)) if size != "100" else Hints(),
    )


LIST = (
    *(
        stock(number, symbol, place, symbol, symbol.lower(), f"${symbol}", f"{symbol}.US", f"NASDAQ:{symbol}")
        for number, symbol, place in (
            (265598, "AAPL", "NASDAQ"),
            (272093, "MSFT", "NASDAQ"),
            (8314, "IBM", "NYSE"),
            (756733, "SPY", "ARCA"),
            (320227571, "QQQ", "NASDAQ"),
            (76792991, "TSLA", "NASDAQ"),
            (3691937, "AMZN", "NASDAQ"),
            (208813719, "GOOGL", "NASDAQ"),
            (208813720, "GOOG", "NASDAQ"),
            (107113386, "META", "NASDAQ"),
            (4815747, "NVDA", "NASDAQ"),
            (9599491, "F", "NYSE"),
            (37018770, "T", "NYSE"),
            (27684036, "V", "NYSE"),
        )
    ),
    *(
        shares(number, symbol)
        for number, symbol in (
            (72063691, "BRK B"),
            (2904, "BRK A"),
            (4721, "BF A"),
            (4722, "BF B"),
            (36297, "HEI A"),
            (7587, "LEN B"),
            (8969, "MOG A"),
            (8970, "MOG B"),
            (54002, "RDS A"),
            (54003, "RDS B"),
            (42001, "PBR A"),
            (31001, "CRD A"),
            (31002, "AKO B"),
        )
    ),
    stock(61001, "BAC PRL", "NYSE", "BAC PRL", "BAC-PL", "BAC.PR.L", "BAC/PRL", cls="BAC PRL"),
    stock(61002, "JPM PRC", "NYSE", "JPM PRC", "JPM-PC", "JPM.PRC", cls="JPM PRC"),
    stock(61003, "OPEN WS", "NYSE", "OPEN WS", "OPEN.WS", "OPEN/WT", cls="OPEN WS"),
    stock(61004, "KVSA U", "NYSE", "KVSA U", "KVSA.UN", "KVSA/U", cls="KVSA U"),
    abroad(14204, "SAP", "IBIS", "EUR", "SAP.DE", "XETR:SAP", "SAP GY", "SAP@EUR"),
    abroad(29612193, "AIR", "SBF", "EUR", "AIR.PA", "AIR FP"),
    abroad(117589399, "ASML", "AEB", "EUR", "ASML.AS", "ASML NA"),
    abroad(27094, "ENI", "BVME", "EUR", "ENI.MI", "ENI IM"),
    abroad(12672, "NESN", "EBS", "CHF", "NESN.SW", "SIX:NESN"),
    abroad(43645865, "7203", "TSEJ", "JPY", "7203.T", "TYO:7203", "7203 JP"),
    abroad(151249721, "700", "SEHK", "HKD", "0700.HK", "700.HK", "700 HK"),
    abroad(195014116, "SHOP", "TSE", "CAD", "SHOP.TO", "TSX:SHOP"),
    abroad(4036812, "BHP", "ASX", "AUD", "BHP.AX", "ASX:BHP", "BHP AU"),
    abroad(27805, "VOLV.B".replace(".", " "), "SFB", "SEK", "VOLV B", "VOLV-B"),
    abroad(37891, "VOD", "LSE", "GBP", "VOD.L", "LSE:VOD", "VOD LN"),
    *(
        pair(number, base, quote)
        for number, base, quote in (
            (12087792, "EUR", "USD"),
            (12087797, "GBP", "USD"),
            (15016059, "USD", "JPY"),
            (12087820, "USD", "CHF"),
            (14433401, "AUD", "USD"),
            (15016062, "USD", "CAD"),
            (39453441, "NZD", "USD"),
            (12087807, "EUR", "GBP"),
            (14321016, "EUR", "JPY"),
            (12087802, "EUR", "CHF"),
            (15016138, "GBP", "JPY"),
            (37893488, "USD", "MXN"),
        )
    ),
    coin(479624278, "BTC"),
    coin(495759171, "ETH"),
    coin(498989715, "LTC"),
    coin(498989721, "BCH"),
    coin(71001, "SOL"),
    coin(71002, "BTC", "USDT"),
    coin(71003, "ETH", "BTC"),
    coin(71004, "BTC", "EUR"),
    option(81001, "AAPL", "2026-12-18", "C", "200"),
    option(81002, "AAPL", "2026-12-18", "P", "200"),
    option(81003, "AAPL", "2026-12-18", "C", "152.5"),
    option(81004, "SPY", "2026-03-20", "P", "452.5"),
    option(81005, "F", "2027-01-15", "C", "9.5"),
    option(81006, "BRK B", "2026-06-19", "C", "400", cls="BRKB"),
    option(81007, "NVDA", "2028-01-21", "P", "0.5"),
    option(81008, "SPX", "2026-12-18", "C", "6000", cls="SPXW"),
    option(81009, "AAPL", "2026-12-18", "C", "150", cls="AAPL1"),
    option(81010, "GME", "2026-12-18", "C", "20", cls="GME1", size="110"),
)


def contract(**fields: Any) -> Any:
    """Return a contract as the client library holds it."""
    names = ("symbol", "lastTradeDateOrContractMonth", "right", "multiplier", "exchange", "localSymbol")
    empty: dict[str, Any] = dict.fromkeys((*names, "primaryExchange", "tradingClass"), "")
    return SimpleNamespace(**{**empty, "strike": 0.0, "currency": "USD", "conId": 0, **fields})


def instruments() -> Iterator[Instrument]:
    for listed in LIST:
        yield instrument_of(contract(**listed.fields))


def test_the_list_has_sixty_securities_of_every_kind() -> None:
    assert len({listed.key for listed in LIST}) == len(LIST) >= 60
    assert {each.market_type for each in instruments()} == set(MarketType)


@pytest.mark.parametrize("listed", LIST, ids=lambda listed: listed.key)
def test_the_broker_s_contract_and_every_spelling_are_one_security(listed: Listed) -> None:
    by_contract = instrument_of(contract(**listed.fields))
    assert (by_contract.key, by_contract.con_id) == (listed.key, listed.fields["conId"])
    keys = {text: canonical(text, listed.hints).key for text in listed.spellings}
    assert keys == dict.fromkeys(listed.spellings, listed.key)
    assert all(same_security(text, by_contract) for text in (listed.key, listed.key.lower(), by_contract.symbol))
    assert of_key(listed.key).key == listed.key


@pytest.mark.parametrize("listed", LIST, ids=lambda listed: listed.key)
def test_a_security_comes_back_from_the_contract_that_it_asks_for(listed: Listed) -> None:
    named = canonical(listed.spellings[0], listed.hints)
    assert instrument_of(contract(**contract_fields(named))).key == listed.key
    bound = instrument_of(contract(**listed.fields))
    again = instrument_of(contract(**contract_fields(bound), conId=bound.con_id))
    assert (again.key, again.con_id, again.currency, again.multiplier) == (
        bound.key,
        bound.con_id,
        bound.currency,
        bound.multiplier,
    )


def test_state_and_journal_keep_every_security(tmp_path: Path) -> None:
    store = TinyDbStore(tmp_path / "state", clock=FixedClock())
    known = list(instruments())
    with store.transaction() as tx:
        for number, each in enumerate(known):
            position = Position(
                instrument=each,
                side=PositionSide.LONG,
                quantity=Quantity(D(1)),
                entry_price=Price(D(2)),
                entry_time=NOW,
                opened_quantity=Quantity(D(1)),
                opened_value=D(2),
            )
            tx.positions[each.key] = PositionRecord(position=position, current_price=Price(D(2)), priced_at=NOW)
            fill = Fill(
                exec_id=f"{number}.01",
                instrument=each,
                side=OrderSide.BUY,
                quantity=Quantity(D(1)),
                price=Price(D(2)),
                filled_at=NOW,
            )
            tx.emit(FillBooked(at=NOW, subject=each.key, data=fill))
    again = TinyDbStore(tmp_path / "state", clock=FixedClock())
    assert [row.position.instrument for row in again.view().positions.values()] == known
    events = [read_event(row) for row in again.journal.events(kind="fill")]
    assert [event.data.instrument for event in events if isinstance(event, FillBooked)] == known


@given(
    st.sampled_from(LIST),
    st.data(),
)
def test_a_spelling_with_other_capitals_and_blanks_is_the_same_security(listed: Listed, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(listed.spellings))
    mixed = "".join(data.draw(st.sampled_from((sign.lower(), sign.upper()))) for sign in text)
    around = data.draw(st.sampled_from(("", " ", "\t")))
    assert canonical(f"{around}{mixed}{around}", listed.hints).key == listed.key


def test_an_option_right_and_strike_are_never_mixed_up() -> None:
    call, put = (next(each for each in instruments() if each.con_id == number) for number in (81001, 81002))
    assert (call.right, put.right) == (OptionRight.CALL, OptionRight.PUT)
    assert replace(call, right=OptionRight.PUT, con_id=put.con_id) == put
