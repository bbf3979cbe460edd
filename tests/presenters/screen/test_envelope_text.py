"""The envelope is written quickly, and as the standard library writes it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from apex_cli.presenters.screen.output import _indented

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), VALUES))
def test_it_is_what_the_standard_library_writes(data: dict[str, object]) -> None:
    text = json.dumps(data, ensure_ascii=False)
    assert _indented(text, 2) == json.dumps(data, indent=2, ensure_ascii=False)


def test_half_a_sign_in_the_name_of_a_file_ends_nothing() -> None:
    data = {"file": "caf\udce9.csv", "rows": [1.5, "1.50"]}
    assert _indented(json.dumps(data, ensure_ascii=False), 2) == json.dumps(data, indent=2, ensure_ascii=False)
