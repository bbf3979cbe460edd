from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.text import yaml_text
from apex_cli.core.text.yaml_text import MAX_DEPTH, YamlProblem, parse_yaml


@pytest.fixture(params=["as installed", "pure Python"], autouse=True)
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run every test with both parsers: PyYAML has no C parser where it has no wheel."""
    if request.param == "pure Python":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    yaml_text._loader_class.cache_clear()
    yield
    yaml_text._loader_class.cache_clear()


def problem(text: str) -> YamlProblem:
    with pytest.raises(YamlProblem) as caught:
        parse_yaml(text)
    assert "\n" not in str(caught.value)
    return caught.value


LEVELS = (MAX_DEPTH + 1, 999, 1000, 1001, 5000, 100_000)


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("opened", ["[", "{", '{"a":', "[\n", "- ", "? "])
def test_deep_nesting_is_named_at_the_first_level_too_many(opened: str, levels: int) -> None:
    found = problem(opened * levels)
    place = opened * MAX_DEPTH
    assert str(found).endswith(f"nested more than {MAX_DEPTH} levels deep")
    assert found.line == place.count("\n") + 1
    assert found.column == (1 if "\n" in place else len(place) + 1)


@pytest.mark.parametrize("levels", LEVELS)
def test_deep_nesting_further_down_and_closed_again_is_found_as_well(levels: int) -> None:
    found = problem("a: 1\nb: " + "[" * levels + "]" * levels)
    assert (found.line, found.column) == (2, 3 + MAX_DEPTH)  # the outer mapping is a level, too


def test_the_deepest_nesting_allowed_is_read() -> None:
    value = parse_yaml("[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH)
    for _ in range(MAX_DEPTH):
        assert isinstance(value, list)
        (value,) = value
    assert value == 1


def test_an_earlier_mistake_is_named_before_deep_nesting() -> None:
    found = problem("a: [}\nb: " + "[" * 2000)
    assert found.line == 1
    assert "nested" not in str(found)


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("é: ü\nb: é\x00", (2, 5), "character U+0000 is not allowed in YAML"),
        ("a\x1b[0m: 1", (1, 2), "character U+001B is not allowed in YAML"),
        ("a: \x9f", (1, 4), "character U+009F is not allowed in YAML"),
        ("a: \uffff", (1, 4), "character U+FFFF is not allowed in YAML"),
        ("a: \ud800", (1, 4), "half a surrogate pair is not a character"),
        ("a: &a 1\nb: *a", (2, 4), "aliases (*name) are not supported"),
        ("a: !!binary aa", (1, 4), "tag 'tag:yaml.org,2002:binary' is not supported"),
        ("!!python/object/apply:os.system [ls]", (1, 1), "tag 'tag:yaml.org,2002:python/object/apply:os.system'"),
        ("[a]: 1", (1, 1), "a list or mapping cannot be a key"),
        ("a: 1\na: 2", (2, 1), "key 'a' is given twice"),
        ("a: " + "9" * 5000, (1, 4), "too many digits"),
    ],
)
def test_our_own_rules_have_one_wording_and_one_place(text: str, place: tuple[int, int], what: str) -> None:
    found = problem(text)
    assert (found.line, found.column) == place
    assert what in str(found)


@pytest.mark.parametrize("escape", [r"\ud800", r"\ud83d\ude00", r"\UFFFFFFFF", r"\U00110000"])
def test_an_escape_that_names_no_character_is_refused(escape: str) -> None:
    problem(f'a: "{escape}"')


@pytest.mark.parametrize(
    "text", ["a: [", 'a: "x', "a: b: c", "a:\n\tb: 1", "%", "@a", "a: 1\n---\nb: 2", "%YAML 3.0\n---\n1"]
)
def test_bad_syntax_is_one_sentence_with_its_line(text: str) -> None:
    assert problem(text).line is not None


def test_marks_letters_and_signs_of_every_language_are_read() -> None:
    assert parse_yaml("\ufeffß: 日本 😀\nn: .5") == {"ß": "日本 😀", "n": Decimal("0.5")}


@given(text=st.text(alphabet=st.characters() | st.sampled_from("[]{}:,-?&*!|>'\"%@`#\n\t \x00\x85"), max_size=60))
def test_any_text_is_a_value_or_a_problem(text: str) -> None:
    with suppress(YamlProblem):
        parse_yaml(text)


class TestLoadingTheLibrary:
    """In a process of its own, as it is loaded once."""

    @pytest.fixture(autouse=True)
    def _parser(self) -> None:
        """Take the parser that is installed: this process parses nothing."""

    LOADED = (
        "import copy, datetime, pickle, re, threading, apex_cli\n"
        "from apex_cli.core.text.yaml_text import parse_yaml\n"
        "{before}\n"
        "assert parse_yaml('a: 1') == {{'a': 1}}\n"
        "import yaml\n"
        "patterns = [yaml.reader.Reader.NON_PRINTABLE, yaml.SafeLoader.timestamp_regexp]\n"
        "patterns += [each for found in yaml.SafeLoader.yaml_implicit_resolvers.values() for _, each in found]\n"
        "assert isinstance(re.compile('a'), re.Pattern)\n"
        "{then}\n"
        "print({{type(each) is re.Pattern for each in patterns}})\n"
    )
    OURS = "apex_cli.is_program = True"

    def loaded(self, before: str, then: str = "") -> str:
        program = self.LOADED.format(before=before, then=then)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.stdout.strip()

    def test_its_own_patterns_are_compiled_when_they_are_used(self) -> None:
        assert self.loaded(self.OURS) == "{False}"

    def test_nothing_is_put_off_in_a_program_of_others(self) -> None:
        assert self.loaded("") == "{True}"

    def test_nothing_is_put_off_where_other_threads_run(self) -> None:
        thread = "threading.Thread(target=threading.Event().wait, daemon=True).start()"
        assert self.loaded(f"{self.OURS}\n{thread}") == "{True}"

    @pytest.mark.parametrize("before", ["", OURS])
    def test_everybody_else_finds_the_patterns_as_ever(self, before: str) -> None:
        then = (
            "for each in patterns:\n"
            "    same = re.compile(each.pattern, each.flags & ~re.UNICODE)\n"
            "    assert isinstance(each, re.Pattern)\n"
            "    assert (each == same, hash(each) == hash(same), repr(each) == repr(same)) == (True, True, True)\n"
            "    assert copy.copy(each) == copy.deepcopy(each) == pickle.loads(pickle.dumps(each)) == same\n"
            "    assert re.compile(each) == same\n"
            "    assert re.sub(each, '', '2004-02-01') == same.sub('', '2004-02-01')\n"
            "resolvers = copy.deepcopy(yaml.SafeLoader.yaml_implicit_resolvers)\n"
            "assert resolvers == yaml.SafeLoader.yaml_implicit_resolvers\n"
        )
        assert self.loaded(before, then) == ("{False}" if before else "{True}")

    @pytest.mark.parametrize("before", ["", OURS])
    @pytest.mark.parametrize("base", ["SafeLoader", "CSafeLoader"])
    def test_everybody_else_reads_and_writes_as_ever(self, before: str, base: str) -> None:
        if not hasattr(yaml, base):
            pytest.skip("PyYAML without its C parser")
        then = (
            "text = '[1, 0x1f, 1_0, 2.5, .inf, 190:20:30, on, ~, 2004-02-01, 2004-02-01 09:30:00Z]'\n"
            f"class Loader(yaml.{base}): pass\n"
            "values = yaml.load(text, Loader)\n"
            "assert values[:4] == [1, 31, 10, 2.5] and values[5:8] == [685230, True, None]\n"
            "assert values[8] == datetime.date(2004, 2, 1)\n"
            "assert values[9] == datetime.datetime(2004, 2, 1, 9, 30, tzinfo=datetime.UTC)\n"
            "assert yaml.safe_load(yaml.safe_dump(values)) == values\n"
            "assert yaml.safe_dump(['on', '1', '2004-02-01', 'a']) == \"- 'on'\\n- '1'\\n- '2004-02-01'\\n- a\\n\"\n"
            "Loader.add_implicit_resolver('!dice', re.compile(r'^[0-9]+d[0-9]+$'), list('0123456789'))\n"
            "Loader.add_constructor('!dice', lambda loader, node: node.value.split('d'))\n"
            "assert yaml.load('[3d6, 3]', Loader) == [['3', '6'], 3]\n"
            "assert yaml.safe_load('[3d6, 3]') == ['3d6', 3]\n"
            "try: yaml.load('a: \\x01', Loader)\n"
            "except yaml.reader.ReaderError: pass\n"
            "else: raise AssertionError\n"
        )
        self.loaded(before, then)
