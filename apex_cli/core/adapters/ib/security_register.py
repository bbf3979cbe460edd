"""Which security of ours each of the broker's contracts is: the broker's number decides, not the name of the day."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from apex_cli.core.model.instrument import Instrument


class SecurityRegister:
    """Binds securities to the broker's numbers, and keeps what is bound.

    A ticker that was renamed stays the security under which it was bought. Two securities with one ticker never share
    a name: the second one carries its exchange or its number.
    """

    def __init__(
        self,
        known: Callable[[], Iterable[Instrument]] = tuple,
        held: Callable[[], Iterable[Instrument]] | None = None,
    ) -> None:
        """Bind what *known* returns, which is asked when an unknown number comes: the securities of our books.

        *held* returns those of them that are held or on order, where that is not all.
        """
        self._known = known
        self._held = held or known
        self._by_id: dict[int, Instrument] = {}
        self._keys: dict[str, int] = {}
        self._in_unit: set[int] = set()

    def ours(self, reported: Instrument) -> Instrument:
        """Return the security of ours that *reported*, named by a contract of the broker, is."""
        if not reported.con_id:
            return reported
        found = self._by_id.get(reported.con_id)
        if found is None:
            self._learn()
            found = self._by_id.get(reported.con_id) or self._bind(self._unbound(reported), reported.con_id)
        called = reported.symbol if reported.symbol != found.symbol else ""
        if found.called != called:
            found = self._by_id[reported.con_id] = replace(found, called=called)
        if reported.price_steps and found.price_steps != reported.price_steps:
            found = self._by_id[reported.con_id] = replace(found, price_steps=reported.price_steps)
        return found

    def renamed(self, named: Instrument) -> Instrument:
        """Return what *named*, a security of ours, is called by now."""
        return self._by_id.get(named.con_id, named)

    def bind_to_unit(self, quoted: Instrument) -> None:
        """Take *quoted*, in the unit of the broker's prices, for its number, unless we hold it under another name.

        A contract names pounds where its prices are in pence: only its details say so.
        """
        self._in_unit.add(quoted.con_id)
        if quoted.con_id not in {instrument.con_id for instrument in self._held()}:
            self._by_id.pop(quoted.con_id, None)
            self._bind(quoted, quoted.con_id)

    def is_bound_to_unit(self, number: int) -> bool:
        """Return whether the unit of the prices of *number* was asked for."""
        return number in self._in_unit

    def number_of(self, instrument: Instrument) -> int:
        """Return the broker's number of *instrument*, 0 while it is not known."""
        if instrument.con_id:
            return instrument.con_id
        self._learn()
        return self._keys.get(instrument.key, 0)

    def _learn(self) -> None:
        for instrument in self._known():
            if instrument.con_id and instrument.con_id not in self._by_id:
                self._bind(instrument, instrument.con_id)

    def _unbound(self, reported: Instrument) -> Instrument:
        """Return the security of our books that has no number yet and goes by the same name, else *reported*."""
        names = {reported.key, replace(reported, trading_class="").key}
        return next((each for each in self._known() if not each.con_id and each.key in names), reported)

    def _bind(self, instrument: Instrument, number: int) -> Instrument:
        bound = replace(instrument, con_id=number)
        if self._keys.get(bound.key, number) != number:
            bound = replace(bound, exchange=bound.exchange or f"ID{number}")
        if self._keys.get(bound.key, number) != number:
            bound = replace(bound, exchange=f"ID{number}")
        self._by_id[number] = bound
        self._keys[bound.key] = number
        return bound
