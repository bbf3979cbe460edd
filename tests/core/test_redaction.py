from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ulid import ULID

from apex_cli.core.redaction import Redactor, redact, secrets_in

TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawx"  # noqa: S105 - of nobody


@pytest.mark.parametrize(
    ("given_text", "reported"),
    [
        ("account U1234567 is read", "account U*****67 is read"),
        ("DU1234567,DF765432;F1234567", "DU*****67,DF*****32;F*****67"),
        ('{"account":"U12345"}', '{"account":"U*****45"}'),
        (f"https://api.telegram.org/bot{TOKEN}/sendMessage", "https://api.telegram.org/***/sendMessage"),
        (f"token={TOKEN}", "token=***"),
    ],
)
def test_accounts_keep_letters_and_two_digits_and_tokens_nothing(given_text: str, reported: str) -> None:
    assert Redactor().text(given_text) == reported
    assert Redactor().lines(given_text.encode()) == reported.encode()


@pytest.mark.parametrize(
    "text",
    [
        "1234567",
        "189.37",
        "1.927443629",
        "2026-03-02T15:00:00.123456Z",
        "apex-01HF1234567ABCDEFGHJKMNPQR-S1",
        "0000e0d5.f1234567.01",
        "U123",
        "EU1234567",
        "UF1234567",
        "U1234567X",
        "U12345678901234",
        "EURUSD",
        "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "10:30",
    ],
)
def test_numbers_times_ids_and_words_stay(text: str) -> None:
    assert Redactor().text(text) == text
    assert Redactor().lines(text.encode()) == text.encode()


@given(
    st.decimals(allow_nan=False, allow_infinity=False),
    st.integers(min_value=0, max_value=2**128 - 1),
    st.sampled_from(["E", "S1", "T1", "C2"]),
)
def test_no_price_and_no_order_id_is_ever_touched(price: Decimal, number: int, leg: str) -> None:
    ulid = str(ULID.from_int(number))
    text = f'{{"price":"{price}","id":"apex-{ulid}-{leg}","n":{number}}}'
    assert Redactor(("correct horse",)).text(text) == text
    assert Redactor(("correct horse",)).lines(text.encode()) == text.encode()


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


@given(st.text(st.characters(codec="utf-8"), min_size=8, max_size=30), TEXTS, TEXTS)
def test_a_known_secret_is_gone_and_json_stays_json(secret: str, before: str, after: str) -> None:
    redactor = Redactor((secret,))
    line = msgspec.json.encode({"text": before + secret + after})
    reported = msgspec.json.decode(redactor.lines(line))["text"]
    if any(letter not in "0123456789.,:+-*" for letter in secret):
        assert secret not in reported


def test_a_secret_with_quotes_is_found_in_json_too() -> None:
    assert Redactor(('say "friend"\n',)).lines(rb'{"text":"say \"friend\"\n now"}') == b'{"text":"*** now"}'


def test_a_secret_that_begins_inside_an_escape_leaves_json_behind() -> None:
    line = msgspec.json.encode({"text": "a\newsecret", "n": 5})
    assert msgspec.json.decode(Redactor(("newsecret",)).lines(line)) == {"text": "a\newsecret", "n": 5}


def test_of_several_lines_only_what_is_secret_changes() -> None:
    lines = b'{"text":"a\\newsecret"}\n{"id":"U1234567"}\n{"note": "newsecret"}\n{"price":"12345.67"}\n'
    clean = b'{"text":"a\\newsecret"}\n{"id":"U*****67"}\n{"note": "***"}\n{"price":"12345.67"}\n'
    assert Redactor(("newsecret",)).lines(lines) == clean


def test_short_values_and_plain_numbers_are_no_secrets() -> None:
    redactor = Redactor(("hunter2", "12345678", "2026-03-02", "189.37000", ""))
    text = "hunter2 12345678 2026-03-02 189.37000"
    assert redactor.text(text) == text


def test_of_two_secrets_the_longer_one_goes_first() -> None:
    assert Redactor(("password", "password-and-more")).text("password-and-more") == "***"


def test_the_environment_reports_its_secrets_by_their_names() -> None:
    environment = {
        "TELEGRAM_TOKEN": "one-token",
        "DB_PASSWORD": "two-password",
        "client_secret": "three-secret",
        "TOKEN_FILE": "/run/secrets/token",
        "HOME": "/home/trader",
    }
    assert set(secrets_in(environment)) == {"one-token", "two-password", "three-secret"}
    assert redact("one-token two-password three-secret /home/trader", environment) == "*** *** *** /home/trader"
