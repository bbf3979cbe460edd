"""One HTML page that needs nothing else: light and dark, for a phone and for paper; nothing fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apex_cli.presenters.pages.charts import html_text
from apex_cli.presenters.screen.blocks import Block, Cell, Fields, Figure, Grid, Line, Plot, Tone

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1b1f23; --dim: #5a646d; --line: #d5dade; --fill: #2b62a8;
  --good: #0b6b2d; --bad: #a3170c; --warn: #7a5200; --soft: #2b62a826; --up: #0b6b2d2e; --down: #a3170c2e; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --text: #e4e7ea; --dim: #9aa4ad; --line: #363d44;
  --fill: #7fb2ee; --good: #8fd694; --bad: #ff9a8f; --warn: #f2c572; --soft: #7fb2ee30; --up: #8fd69433;
  --down: #ff9a8f33; } }
@page { margin: 15mm; }
body { background: var(--ground); color: var(--text); font: 15px/1.45 system-ui, sans-serif; max-width: 66rem;
  margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 1.8rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; }
p.span { color: var(--dim); margin: .2rem 0 1rem; } p { margin: .3rem 0; overflow-wrap: anywhere; }
a { color: var(--fill); text-decoration: none; } a:hover { text-decoration: underline; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .6rem; margin: 0; }
dl div { border: 1px solid var(--line); border-radius: 6px; padding: .4rem .7rem; min-width: 0; }
dt { color: var(--dim); font-size: .8rem; }
dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
dd.note { color: var(--dim); font-size: .8rem; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--dim); font-weight: 600; } .right { text-align: right; white-space: nowrap; }
.bars { white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; } .warn { color: var(--warn); }
.dim { color: var(--dim); } .bold { font-weight: 600; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--dim); font: 12px system-ui, sans-serif; }
svg .axis { stroke: var(--line); } svg .curve { stroke: var(--fill); fill: none; stroke-width: 1.8; }
svg .second { stroke: var(--dim); fill: none; stroke-width: 1.2; stroke-dasharray: 5 4; }
svg .band { fill: var(--soft); } svg .area { fill: var(--down); } svg .bar { fill: var(--fill); }
svg circle.won { fill: var(--good); } svg circle.lost { fill: var(--bad); }
@media (max-width: 640px) { body { padding: .8rem; } .text { min-width: 11rem; } dl { grid-template-columns: 1fr 1fr; }
  th, td { padding: .2rem .35rem; } svg { overflow: visible; }
  svg text { font-size: 22px; } svg text.odd { display: none; } }
@media print { :root { color-scheme: light; --ground: #fff; --text: #000; --dim: #444; --line: #bbb; --fill: #2b62a8;
  --good: #0b6b2d; --bad: #a3170c; --warn: #7a5200; --soft: #2b62a826; --up: #0b6b2d2e; --down: #a3170c2e; }
  body { font-size: 12px; max-width: none; } div.wide { overflow: visible; } table { font-size: 10px; }
  th, td { padding: .15rem .25rem; } section { break-inside: avoid; } section.long { break-inside: auto; }
  tr { break-inside: avoid; }
  body { padding: 0 !important; print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


def page(title: str, span: str, sections: Iterable[str], style: str = "") -> str:
    """Return the page; *sections* are HTML already, the other texts are escaped."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{html_text(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n"
        f'<h1>{html_text(title)}</h1>\n<p class="span">{html_text(span)}</p>\n'
        f"{''.join(sections)}</body>\n</html>\n"
    )


def section(title: str, body: str, *, kind: str = "") -> str:
    """Return *body*, HTML already, below its title."""
    named = f' class="{kind}"' if kind else ""
    return f"<section{named}>\n<h2>{html_text(title)}</h2>\n{body}\n</section>\n"


def cards(figures: Iterable[Figure]) -> str:
    """Return numbers as cards."""
    drawn = (
        f"<div><dt>{html_text(figure.name)}</dt><dd{class_of(figure.tone)}>{html_text(figure.value)}</dd>"
        + (f'<dd class="note">{html_text(figure.below)}</dd>' if figure.below else "")
        + "</div>"
        for figure in figures
    )
    return f"<dl>{''.join(drawn)}</dl>"


def block_section(block: Fields | Grid) -> str:
    """Return *block* as a section under its own title."""
    return section(block.title, block_html(block))


def block_html(block: Block) -> str:
    """Return *block* without its title."""
    if isinstance(block, Line):
        return f"<p{class_of(block.tone)}>{html_text(block.text)}</p>"
    if isinstance(block, Fields):
        return cards(Figure(name, cell.text, cell.tone) for name, cell in block.rows)
    if isinstance(block, Plot):
        return ""  # a page draws its own
    if not block.rows:
        return f'<p class="dim">{html_text(block.empty)}</p>'
    kinds = ["right" if head.is_right else "text" if head.wraps else "bars" for head in block.columns]
    head = "".join(
        f'<th class="{kind}">{html_text(head.name)}</th>' for head, kind in zip(block.columns, kinds, strict=True)
    )
    body = "".join(f"<tr>{_row(row, kinds)}</tr>" for row in block.rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _row(row: Sequence[Cell], kinds: Sequence[str]) -> str:
    return "".join(
        f'<td class="{kind} {"" if cell.tone is Tone.PLAIN else cell.tone}">{html_text(cell.text)}</td>'
        for cell, kind in zip(row, kinds, strict=True)
    )


def class_of(tone: Tone) -> str:
    """Return the attribute that gives an element the style of *tone*; empty for a plain one."""
    return "" if tone is Tone.PLAIN else f' class="{tone}"'
