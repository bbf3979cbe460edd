from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.execution_limits import ExecutionLimits, RepriceLimits
from apex_cli.core.model.order import EntryOrder, OrderRole, OrderStatus
from apex_cli.core.model.records import TradingState
from kit.faults import Fate, UnreliableBroker
from kit.rig import ROOMY, Prices, Rig, auto, make_signal

D = Decimal
REPRICE = RepriceLimits(after_s=60, step_pct=D("0.002"), max_times=3, max_pct=D("0.005"))
"""From 50: 50.10, 50.20, then 50.25, the most."""


def resting(reprice: RepriceLimits = REPRICE, *, risk: Any = ROOMY, **changes: Any) -> Rig:
    """Return a rig whose limit entry for 15 AAPL rests at 50 while the market stands at 50.60."""
    limits = auto(risk)
    execution = ExecutionLimits(auto_execute=True, entry_order=EntryOrder.LIMIT, reprice=reprice)
    rig = Rig(limits=replace(limits, execution=execution), prices=Prices())
    rig.use(UnreliableBroker(rig.venue, rig.clock))
    meet(rig, "50.60")
    rig.feed(make_signal(now=rig.clock.now(), **{"targets": ("60",), **changes}))
    return rig


def meet(rig: Rig, price: str, *, seconds: float = 1, size: str | None = None) -> None:
    """Let time pass and the market meet *price*; the loop turns once."""
    rig.clock.advance(seconds=seconds)
    rig.price(price, size=size)
    rig.prices.set("AAPL", price, rig.clock.now())
    rig.cycle()


def entries(rig: Rig) -> dict[str, tuple[str, Decimal, Decimal | None, Decimal]]:
    """Return status, quantity, limit and filled quantity of every entry."""
    return {
        r.order.client_order_id.rpartition("-")[2]: (
            str(r.status), r.order.quantity, r.order.limit_price, r.filled_quantity
        )
        for r in rig.orders()
        if r.order.role is OrderRole.ENTRY
    }  # fmt: skip


def reported(rig: Rig, kind: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(event.data) for event in rig.events(kind)]


class TestSteps:
    def test_a_resting_entry_follows_the_price_to_its_bound_and_no_further(self) -> None:
        rig = resting()
        assert entries(rig) == {"E": ("WORKING", 15, D(50), 0)}
        meet(rig, "50.60", seconds=58)
        assert list(entries(rig)) == ["E"]
        meet(rig, "50.60", seconds=2)
        # 3000 * 1 % = 30 at risk; 50.10 - 48 = 2.10 a share: 14 shares
        assert entries(rig) == {"E": ("CANCELLED", 15, D(50), 0), "E2": ("WORKING", 14, D("50.10"), 0)}
        for _ in range(5):
            meet(rig, "50.60", seconds=61)
        # 50.20 - 48 = 2.20: 13 shares; 50.25 - 48 = 2.25: 13 shares
        assert {name: row[1:3] for name, row in entries(rig).items()} == {
            "E": (15, D(50)),
            "E2": (14, D("50.10")),
            "E3": (13, D("50.20")),
            "E4": (13, D("50.25")),
        }
        assert [event["to_price"] for event in reported(rig, "repriced")] == ["50.10", "50.20", "50.25"]

    def test_the_fresh_entry_brings_its_own_stop_and_target(self) -> None:
        rig = resting()
        meet(rig, "50.60", seconds=61)
        meet(rig, "50.05")
        assert rig.at_venue() == {"AAPL": 14}
        legs = {r.order.client_order_id[-2:]: r.order for r in rig.orders() if r.status is OrderStatus.WORKING}
        assert {name: (leg.quantity, leg.stop_price, leg.limit_price) for name, leg in legs.items()} == {
            "S2": (14, D(48), None),
            "T2": (14, None, D(60)),
        }
        assert legs["S2"].oca_group == legs["T2"].oca_group
        (row,) = rig.state.brackets.values()
        assert (row.quantity, row.entry_price, row.risk_per_unit) == (15, D("50.10"), D("2.10"))
        assert not rig.state.resting
        rig.cycle()
        assert rig.unprotected() == 0

    def test_only_the_rest_of_a_partly_filled_entry_is_sent_anew(self) -> None:
        rig = resting()
        meet(rig, "50", size="4")
        meet(rig, "50.60", seconds=61)
        # 14 in all at 50.10, of which 4 are bought
        assert entries(rig) == {"E": ("CANCELLED", 15, D(50), 4), "E2": ("WORKING", 10, D("50.10"), 0)}
        assert rig.most_that_exits_fill() == 4
        meet(rig, "50.10")
        assert rig.at_venue() == {"AAPL": 14}
        assert rig.unprotected() == 0
        assert rig.most_that_exits_fill() == 14
        (row,) = rig.state.brackets.values()
        assert row.entry_price == (4 * D(50) + 10 * D("50.10")) / 14

    def test_a_fill_that_comes_while_it_is_cancelled_counts(self) -> None:
        rig = resting()
        rig.broker.before_cancel = lambda _: rig.price("50", size="5")
        meet(rig, "50.60", seconds=61)
        # the market stands at 50 then, so the fresh entry fills at once
        assert entries(rig) == {"E": ("CANCELLED", 15, D(50), 5), "E2": ("FILLED", 9, D("50.10"), 9)}
        assert rig.at_venue() == {"AAPL": 14}
        assert rig.unprotected() == 0

    def test_a_whole_fill_that_comes_while_it_is_cancelled_ends_it(self) -> None:
        rig = resting()
        rig.broker.before_cancel = lambda _: rig.price("50")
        meet(rig, "50.60", seconds=61)
        assert entries(rig) == {"E": ("FILLED", 15, D(50), 15)}
        assert not rig.state.resting
        assert rig.unprotected() == 0

    def test_each_tranche_keeps_its_target(self) -> None:
        rig = resting(targets=("60", "62"))
        meet(rig, "50.60", seconds=61)
        fresh = {r.order.client_order_id[-2:]: r.order for r in rig.orders() if r.order.tranche > 2}
        assert {name: (leg.quantity, leg.limit_price) for name, leg in fresh.items() if name[0] != "S"} == {
            "E3": (14, D("50.10")),
            "T3": (8, D(60)),
            "T4": (6, D(62)),
        }

    def test_a_short_is_offered_lower(self) -> None:
        rig = Rig(limits=resting().limits, prices=Prices())
        meet(rig, "49.40")
        rig.feed(make_signal(now=rig.clock.now(), side="SHORT", stop="52", targets=("40",)))
        meet(rig, "49.40", seconds=61)
        assert entries(rig)["E2"] == ("WORKING", 14, D("49.90"), 0)


class TestWhatForbidsAStep:
    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"minutes": 1.01}, "signal_expired"),
            ({"targets": ("54",)}, "reward_risk_min"),
        ],
    )
    def test_every_check_is_asked_again(self, changes: dict[str, Any], code: str) -> None:
        rig = resting(**changes)
        meet(rig, "50.60", seconds=61)
        assert entries(rig) == {"E": ("WORKING", 15, D(50), 0)}
        (refused,) = reported(rig, "reprice_refused")
        assert [reason["code"] for reason in refused["reasons"]] == [code]
        meet(rig, "50.60", seconds=61)
        assert len(reported(rig, "reprice_refused")) == 1

    @pytest.mark.parametrize("mode", [TradingMode.HALTED, TradingMode.REDUCING])
    def test_nothing_is_raised_while_trading_is_not_active(self, mode: TradingMode) -> None:
        rig = resting()
        with rig.store.transaction() as tx:
            tx.trading = TradingState(mode=mode)
        meet(rig, "50.60", seconds=61)
        assert entries(rig) == {"E": ("WORKING", 15, D(50), 0)}

    def test_the_price_that_ran_away_is_not_followed(self) -> None:
        rig = resting()
        meet(rig, "52", seconds=61)
        assert entries(rig) == {"E": ("WORKING", 15, D(50), 0)}
        assert reported(rig, "reprice_refused")[0]["reasons"][0]["code"] == "price_collar"

    def test_off_by_default(self) -> None:
        rig = resting(RepriceLimits())
        meet(rig, "50.60", seconds=3600)
        assert entries(rig) == {"E": ("WORKING", 15, D(50), 0)}
        assert not rig.state.resting

    def test_an_entry_cancelled_by_hand_stays_cancelled(self) -> None:
        rig = resting()
        rig.venue._keep(rig.venue._engine.cancel(rig.order("-E").order.client_order_id, rig.clock.now()))
        meet(rig, "50.60", seconds=61)
        assert list(entries(rig)) == ["E"]
        assert not rig.state.resting

    def test_a_close_ends_it(self) -> None:
        rig = resting()
        meet(rig, "50", size="4")
        rig.close()
        meet(rig, "50.60", seconds=61)
        assert list(entries(rig)) == ["E"]
        assert rig.at_venue() == {}


class TestTrouble:
    def test_a_close_in_the_middle_of_a_step_ends_it(self) -> None:
        rig = resting()
        meet(rig, "50", size="4")
        rig.broker.has_snapshot = False  # cancelled, and the rest not sent yet
        meet(rig, "50.60", seconds=61)
        assert entries(rig) == {"E": ("CANCELLED", 15, D(50), 4)}
        assert rig.state.resting
        rig.restart()
        rig.close()
        for _ in range(3):
            meet(rig, "50.60", seconds=61)
        assert list(entries(rig)) == ["E"]
        assert rig.at_venue() == {}

    def test_a_first_entry_that_never_left_is_decided_again_and_not_repriced(self) -> None:
        rig = resting(minutes=0.5)
        rig.broker.fates.append(Fate.REFUSED)
        again = make_signal(now=rig.clock.now(), signal_id="again", targets=("60",), minutes=60)
        rig.venue._keep(rig.venue._engine.cancel(rig.order("-E").order.client_order_id, rig.clock.now()))
        rig.cycle()
        rig.feed(again)
        assert "again" not in rig.state.signals
        for _ in range(2):
            meet(rig, "50.60", seconds=61)
        rig.feed(again)
        assert len(rig.entries_at_venue()) == 2  # of the first signal, and of this one
        assert [row[1:3] for row in entries(rig).values()][-1] == (15, D(50))

    def test_what_became_impossible_while_it_was_cancelled_is_given_up_and_reported(self) -> None:
        rig = resting()

        def halt(_: str) -> None:
            with rig.store.transaction() as tx:
                tx.trading = TradingState(mode=TradingMode.HALTED)

        rig.broker.before_cancel = halt
        meet(rig, "50.60", seconds=61)
        assert entries(rig) == {"E": ("CANCELLED", 15, D(50), 0)}
        (refused,) = reported(rig, "reprice_refused")
        assert (refused["is_over"], refused["reasons"][0]["code"]) == (True, "trading_state")
        assert not rig.state.resting
        assert rig.resting_at_venue() == {}

    def test_what_is_being_closed_is_left_alone(self) -> None:
        rig = resting()
        with rig.guard.hands_off("AAPL"):
            meet(rig, "50.60", seconds=61)
            assert list(entries(rig)) == ["E"]
        meet(rig, "50.60")
        assert list(entries(rig)) == ["E", "E2"]

    def test_an_order_of_unknown_fate_is_waited_for(self) -> None:
        rig = resting()
        rig.broker.has_snapshot = False
        with rig.store.transaction() as tx:
            name = rig.order("-E").order.client_order_id
            tx.orders[name] = replace(tx.orders[name], status=OrderStatus.UNKNOWN)
        meet(rig, "50.60", seconds=61)
        assert list(entries(rig)) == ["E"]
        assert rig.broker.asked_cancels == []

    def test_a_cancel_that_is_lost_is_reported_and_asked_again(self) -> None:
        rig = resting()
        rig.broker.loses_cancels = True
        meet(rig, "50.60", seconds=61)
        meet(rig, "50.60", seconds=5)
        assert len(rig.broker.asked_cancels) == 1
        assert reported(rig, "alarm")[0]["code"] == "reprice_failed"
        rig.broker.loses_cancels = False
        meet(rig, "50.60", seconds=31)
        assert entries(rig)["E2"][:2] == ("WORKING", 14)

    def test_nothing_is_sent_on_an_incomplete_answer(self) -> None:
        rig = resting()
        rig.broker.has_snapshot = False
        meet(rig, "50.60", seconds=61)
        assert entries(rig) == {"E": ("CANCELLED", 15, D(50), 0)}
        rig.broker.has_snapshot = True
        meet(rig, "50.60", seconds=31)
        assert entries(rig)["E2"][:2] == ("WORKING", 14)

    @pytest.mark.parametrize("fate", [Fate.LOST_AFTER, Fate.LOST_BEFORE, Fate.REFUSED])
    def test_a_fresh_entry_of_unknown_fate_is_never_sent_again(self, fate: Fate) -> None:
        rig = resting()
        rig.broker.fates.append(fate)
        meet(rig, "50.60", seconds=61)
        for _ in range(4):
            meet(rig, "50.60", seconds=61)
            rig.run(rig.executor.recover())
        sent = [name for name in rig.entries_at_venue() if not name.endswith("-E")]
        assert len({name for name in sent if name.endswith("-E2")}) == (1 if fate is Fate.LOST_AFTER else 0)
        asked = sum(
            r.order.quantity if r.is_open else r.filled_quantity for r in rig.orders() if r.order.role == "ENTRY"
        )
        assert asked <= 15
