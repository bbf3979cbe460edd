"""The day on a phone, as pages without scripts: what is held and what waits, and a question before each act."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlencode

from apex_cli.core.model.account import AccountBadge
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.records import ApprovalRecord
from apex_cli.core.positions.position_views import PositionView
from apex_cli.core.reports.activity import Activity
from apex_cli.core.reports.board import Board
from apex_cli.core.reports.risk_view import RiskView
from apex_cli.presenters.approvals import approval_name, question_lines
from apex_cli.presenters.day import alarm_cells, equity_rows, head_cells, risk_rows
from apex_cli.presenters.orders import ORDERS
from apex_cli.presenters.pages.charts import html_text
from apex_cli.presenters.pages.page import block_html, class_of, page, section
from apex_cli.presenters.positions import position_summary
from apex_cli.presenters.risk import risk_blocks
from apex_cli.presenters.screen.blocks import Cell
from apex_cli.presenters.screen.formats import moment

STYLE = """
body { max-width: 40rem; padding: .8rem; font-size: 17px; }
h1 { font-size: 1.15rem; } article { border: 1px solid var(--line); border-radius: 8px; padding: .5rem .8rem;
  margin: .6rem 0; } article h3 { margin: 0; }
.acts { display: flex; flex-wrap: wrap; gap: .5rem; margin-top: .6rem; }
.acts a, button { font: inherit; color: var(--text); background: var(--soft); border: 1px solid var(--line);
  border-radius: 8px; padding: .6rem .9rem; min-height: 44px; box-sizing: border-box; }
button { width: 100%; font-weight: 600; margin-top: .8rem; } input { font: inherit; width: 100%; padding: .6rem;
  box-sizing: border-box; border: 1px solid var(--line); border-radius: 8px; background: var(--ground);
  color: var(--text); margin-top: .8rem; }
"""
POSITION_ACTS = (("close", "Close all"), ("half", "Half"), ("breakeven", "Break-even"))
APPROVAL_ACTS = (("approve", "Approve"), ("reject", "Reject"))
MODE_ACTS = {TradingMode.HALTED: "Halt", TradingMode.REDUCING: "Reduce", TradingMode.ACTIVE: "Resume"}


def phone_page(board: Board, badge: AccountBadge, alarms: Sequence[Activity], holder: str, *, can_act: bool) -> str:
    """Return the day; links lead to a question before anything is done, and there are none where nothing may be."""
    head = " · ".join(cell.text for cell in head_cells(board, badge, holder)[1:])
    warnings = "".join(_line((cell,)) for cell in alarm_cells(board, alarms, holder))
    rows = (*equity_rows(board, 5), *risk_rows(board, 5))
    numbers = "".join(f"<p>{html_text(name)}: {' · '.join(map(_cell, cells))}" for name, cells in rows)
    modes = "".join(_link("mode", name, mode=mode) for mode, name in MODE_ACTS.items() if mode is not board.day.mode)
    sections = (
        warnings,
        f"<article>{numbers}</article>",
        f'<div class="acts">{modes}</div>' if can_act else "",
        section(
            f"Waits for an answer: {len(board.approvals)}",
            _each(_approval(each, can_act=can_act) for each in board.approvals),
        ),
        section(f"Held: {len(board.positions)}", _each(_position(each, can_act=can_act) for each in board.positions)),
        section(f"Working orders: {len(board.orders)}", block_html(ORDERS.grid(board.orders))),
        '<p class="dim"><a href="phone/risk">What is at risk</a> · <a href="./?screen=full">The whole screen</a>',
    )
    return _page(badge.text, head, sections, refresh=True)


def risk_page(view: RiskView) -> str:
    """Return what is at risk, as ``apex risk`` shows it."""
    body = "".join(map(block_html, risk_blocks(view)))
    return _page("What is at risk", moment(view.at), (body, '<p class="acts"><a href="../phone">Back</a>'))


def ask_page(title: str, lines: Iterable[str], *, nonce: str, doing: str, asking: str) -> str:
    """Return a question; *nonce* stands for what a yes does, once."""
    typed = f'<input name="typed" maxlength="200" placeholder="{html_text(asking)}">' if asking else ""
    form = (
        f'<form method="post" action="do"><input type="hidden" name="nonce" value="{html_text(nonce)}">{typed}'
        f"<button>{html_text(doing)}</button></form>"
    )
    body = "".join(f"<p>{html_text(line)}" for line in lines if line)
    return _page(title, "", (body, form, '<p class="acts"><a href="../phone">Back</a>'))


def said_page(text: str) -> str:
    """Return what came of an act."""
    return _page("apex", "", (f"<p><b>{html_text(text)}</b>", '<p class="acts"><a href="../phone">Back</a>'))


def _page(title: str, span: str, sections: Iterable[str], *, refresh: bool = False) -> str:
    text = page(title, span, sections, STYLE)
    again = '<meta http-equiv="refresh" content="15">\n'
    return text.replace("<title>", f"{again}<title>", 1) if refresh else text


def _each(articles: Iterable[str]) -> str:
    return "".join(articles) or '<p class="dim">Nothing.</p>'


def _approval(approval: ApprovalRecord, *, can_act: bool) -> str:
    lines = "".join(f"<p>{html_text(line)}" for line in question_lines(approval) if line)
    links = "".join(_link(act, name, approval=approval.approval_id) for act, name in APPROVAL_ACTS)
    acts = f'<div class="acts">{links}</div>' if can_act else ""
    return f"<article><h3>{html_text(approval_name(approval))}</h3>{lines}{acts}</article>"


def _position(view: PositionView, *, can_act: bool) -> str:
    lines = "".join(map(_line, position_summary(view)))
    links = "".join(_link(act, name, symbol=view.symbol) for act, name in POSITION_ACTS)
    acts = f'<div class="acts">{links}</div>' if can_act else ""
    return f"<article><h3>{html_text(view.symbol)}</h3>{lines}{acts}</article>"


def _link(act: str, name: str, **what: str) -> str:
    query = urlencode({"act": act, **what})
    return f'<a href="phone/ask?{html_text(query)}">{html_text(name)}</a>'


def _line(cells: Iterable[Cell]) -> str:
    return f"<p>{' · '.join(map(_cell, cells))}"


def _cell(cell: Cell) -> str:
    return f"<span{class_of(cell.tone)}>{html_text(cell.text)}</span>"
