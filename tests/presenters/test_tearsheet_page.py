from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from apex_cli.core.reports.tearsheet import make_tearsheet
from apex_cli.presenters.pages.charts import Dot, line_chart, scatter_chart
from apex_cli.presenters.pages.tearsheet_page import Contents, tearsheet_page
from apex_cli.presenters.pages.trade_sections import MANY, PART, price_chart, trade_list
from apex_cli.presenters.screen.blocks import Cell, Fields
from kit.trading_history import make_history

TERMS = Fields(title="Settings", rows=(("Capital", Cell("30,000 USD")),))
CONTENTS = Contents("Made up", "all", (), "Ratios a year", (), "Equity", ())


class Places(HTMLParser):
    """Collects where links lead, and what they may lead to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.scripts = 0
        for element in ("tbody", "div"):  # what the page's own script puts in later
            page = page.replace(f"<{element}><script type=text/late>", f"<{element}>")
            page = page.replace(f"</script></{element}>", f"</{element}>")
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            elif name in {"href", "src"}:
                self.links.append(str(value))


def page_of(trades: int) -> str:
    history = make_history(trades)
    return tearsheet_page(CONTENTS, make_tearsheet(*history, "SYM1"), TERMS)


@pytest.mark.parametrize("trades", [0, 1, 25, MANY + 1])
def test_every_trade_has_a_section_that_its_row_leads_to(trades: int) -> None:
    places = Places(page_of(trades))
    assert places.links == ["data:,", *(f"#t{number}" for number in range(1, trades + 1))]
    assert len(places.ids) == len(set(places.ids))
    assert {link.removeprefix("#") for link in places.links[1:]} <= set(places.ids)
    assert places.scripts == (1 if trades > MANY else 0)


def test_a_long_page_opens_with_its_first_trades_alone() -> None:
    page = page_of(MANY + 1)
    assert page.count("<script type=text/late>") == 2 * (MANY // PART)
    assert "src=" not in page
    opened = re.sub(r"<script type=text/late>.*?</script>", "", page, flags=re.DOTALL)
    assert opened.count("<article") == PART


def test_five_thousand_trades_are_a_page_below_three_megabytes() -> None:
    assert len(page_of(5_000).encode()) < 3_000_000


def test_a_chart_shows_the_way_of_the_stop_and_names_its_levels() -> None:
    history = make_history(8)
    moved = next(t for t in make_tearsheet(*history).trades if t.plan is not None and t.plan.stops)
    chart = price_chart(moved)
    assert chart.count("<path") == 6
    assert "stop" in chart
    assert "target" in chart
    assert chart.split("<path d=")[2].count("V") == 1  # one step of the stop
    assert price_chart(moved, is_many=True).count("<path") == 5
    assert make_tearsheet(history.trips, history.plans, history.curve).trades[0].path is None
    assert price_chart(make_tearsheet(history.trips, history.plans, history.curve).trades[0]) == ""


def test_a_long_list_leaves_out_what_the_sections_say() -> None:
    heads = trade_list(make_tearsheet(*make_history(30)).trades).split("<tbody>")[0]
    assert "Best R" in heads
    assert "Best R" not in trade_list(make_tearsheet(*make_history(MANY + 1)).trades).split("<tbody>")[0]


def test_charts_without_anything_to_draw_say_so() -> None:
    assert "Nothing to draw" in scatter_chart([], "None")
    assert scatter_chart([Dot(1, 1, "won")], "One").count("<circle") == 1
    assert "area" in line_chart([0, -1, -2], ["a", "b", "c"], "Fall", is_area=True)


def test_on_paper_no_table_is_cut() -> None:
    style = page_of(1).split("<style>")[1].split("</style>")[0]
    print_rules = style.split("@media print {")[1]
    assert "div.wide { overflow: visible; }" in print_rules
    assert style.index("div.wide { overflow-x: auto; }") < style.index("div.wide { overflow: visible; }")
