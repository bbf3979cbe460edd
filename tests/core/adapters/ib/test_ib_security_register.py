"""The broker's number decides which security a contract is."""

from __future__ import annotations

from msgspec.structs import replace

from apex_cli.core.adapters.ib.security_register import SecurityRegister
from apex_cli.core.model.instrument import STOCK_STEPS, Instrument
from apex_cli.core.model.spelling import canonical


def reported(text: str, number: int) -> Instrument:
    return replace(canonical(text), con_id=number)


def test_a_renamed_security_stays_what_it_was_bought_as() -> None:
    register = SecurityRegister(lambda: (reported("FB", 7),))
    assert register.ours(reported("META", 7)).key == "FB"
    assert register.number_of(canonical("FB")) == 7


def test_a_security_of_older_books_is_bound_by_its_name() -> None:
    register = SecurityRegister(lambda: (canonical("BRK.B"), canonical("SPX 2026-12-18 5000 C")))
    assert register.ours(reported("BRK.B", 3)) == reported("BRK.B", 3)
    assert register.ours(reported("SPX@options 2026-12-18 C5000 (SPXW)", 4)).key == "SPX@options 2026-12-18 C5000"


def test_a_second_security_of_one_name_has_a_name_of_its_own() -> None:
    register = SecurityRegister(lambda: (reported("WEAT", 1),))
    second = register.ours(reported("WEAT", 2))
    assert second.key == "WEAT@ID2"
    assert register.ours(reported("WEAT", 1)).key == "WEAT"
    assert register.ours(reported("WEAT", 2)) == second
    assert register.ours(reported("WEAT@LSEETF", 3)).key == "WEAT@LSEETF"
    assert canonical(second.key).key == second.key


def test_only_what_is_held_or_on_order_keeps_a_name_in_the_other_unit() -> None:
    in_pounds, in_pence = reported("VOD@GBP", 5), reported("VOD@GBX", 5)
    of_history = SecurityRegister(lambda: (in_pounds,), tuple)
    assert of_history.ours(in_pence).key == "VOD@GBP"
    of_history.bind_to_unit(in_pence)
    assert (of_history.ours(in_pounds).key, of_history.renamed(in_pounds).key) == ("VOD@GBX", "VOD@GBX")
    assert of_history.number_of(canonical("VOD@GBP")) == of_history.number_of(canonical("VOD@GBX")) == 5
    of_holding = SecurityRegister(lambda: (in_pounds,), lambda: (in_pounds,))
    of_holding.bind_to_unit(in_pence)
    assert of_holding.ours(in_pence).key == "VOD@GBP"


def test_what_has_no_number_stays_what_it_says() -> None:
    register = SecurityRegister()
    assert register.ours(canonical("AAPL")) == canonical("AAPL")
    assert register.number_of(canonical("AAPL")) == 0


def test_the_broker_may_list_other_price_steps_later() -> None:
    register = SecurityRegister(lambda: (reported("AAPL", 1),))
    assert register.ours(replace(reported("AAPL", 1), price_steps=STOCK_STEPS)).price_steps == STOCK_STEPS
    assert register.ours(reported("AAPL", 1)).price_steps == STOCK_STEPS
