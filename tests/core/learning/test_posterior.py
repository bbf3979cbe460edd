from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.learning.posterior import (
    NO_SHIFT,
    SHIFT_SDS,
    Group,
    Model,
    _shifted,
    average,
    below_zero,
    effective_size,
    group_means,
    shift,
    slopes,
)

D = Decimal
R = st.decimals(-5, 5, places=3)
WEIGHT = st.decimals(D("0.1"), 500, places=2)


def test_models_count_by_how_well_they_explain() -> None:
    nothing = Model(D(0), (D(0),), (D(0),))
    strong = Model(D(5), (D(1),), (D("0.04"),))
    found = average([nothing, strong])
    assert found.none < D("0.01")
    assert D("0.99") < found.means[0] < 1
    assert found.sds[0] > D("0.2"), "what is not known of the model adds to the spread"
    assert average([strong, nothing]).means == (D(1),), "the first model is that nothing differs"


def test_a_difference_that_is_not_probable_moves_nothing() -> None:
    nothing, other = Model(D(0), (D(0),), (D(0),)), Model(D(-1), (D(1),), (D(0),))
    found = average([nothing, other])
    assert found.none > D("0.5")
    assert found.means == (0,)
    assert found.full_means[0] > D("0.2")


@given(groups=st.lists(st.builds(Group, R, WEIGHT), min_size=1, max_size=5))
def test_group_means_lie_between_nothing_and_what_was_found(groups: list[Group]) -> None:
    found = group_means(groups, D(1))
    low, high = min(D(0), *(g.mean for g in groups)), max(D(0), *(g.mean for g in groups))
    assert all(low - D("1e-20") <= mean <= high + D("1e-20") for mean in (*found.means, *found.full_means))
    assert all(sd > 0 for sd in found.sds)
    assert 0 <= found.none <= 1


def test_one_slope_of_two_is_found() -> None:
    found = slopes([[D(100), D(0)], [D(0), D(100)]], [D(60), D(1)], D(1))
    assert D("0.5") < found.means[0] < D("0.6")
    assert abs(found.means[1]) < D("0.02")


def test_a_component_that_seems_to_cost_is_rather_taken_for_noise() -> None:
    up, down = (slopes([[D(100)]], [D(product)], D(1)) for product in (25, -25))
    assert up.means[0] > D("0.1")
    assert -up.means[0] / 2 < down.means[0] <= 0


def test_slopes_that_hang_together_are_taken_apart() -> None:
    """Both are off, and the components move together: only the regression on both sees it."""
    gram = [[D(400), D(200)], [D(200), D(400)]]
    found = slopes(gram, [D(0), D(300)], D(1))
    assert found.means[0] < D("-0.3")
    assert found.means[1] > D("0.7")


@given(product=R, size=WEIGHT)
def test_a_slope_never_exceeds_that_of_least_squares(product: Decimal, size: Decimal) -> None:
    found = slopes([[size]], [product], D(1))
    assert abs(found.means[0]) <= abs(product / size)


@given(mean=R, weight=WEIGHT)
def test_a_shift_is_shrunk_and_has_its_sign(mean: Decimal, weight: Decimal) -> None:
    found = shift(mean, weight)
    assert abs(found) <= abs(mean)
    assert found * mean >= 0


@given(errors=st.decimals(-3, 3, places=3), weight=WEIGHT)
def test_a_mean_within_its_noise_moves_nothing_whatever_the_models_say(errors: Decimal, weight: Decimal) -> None:
    mean = errors * (1 / weight).sqrt()
    spread = (1 - NO_SHIFT) / len(SHIFT_SDS)
    own = 1 / weight
    models = [_shifted(mean, own, D(0), NO_SHIFT), *(_shifted(mean, own, sd, spread) for sd in SHIFT_SDS)]
    assert shift(mean, weight) == average(models).means[0]


@pytest.mark.parametrize(
    ("mean", "sd", "chance"), [("0", "1", "0.5"), ("0.1", "0.1", "0.1587"), ("-1", "0", "1"), ("1", "0", "0")]
)
def test_the_chance_of_a_loss(mean: str, sd: str, chance: str) -> None:
    assert below_zero(D(mean), D(sd)) == D(chance)


def test_weights_that_differ_say_less() -> None:
    assert effective_size([]) == 0
    assert effective_size([D(1)] * 7) == 7
    assert effective_size([D(10), *[D("0.1")] * 9]) < D("1.3")
