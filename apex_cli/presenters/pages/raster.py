"""A picture as PNG: resvg draws it, with a font that comes along, so that it looks the same on every machine."""

from __future__ import annotations

from apex_cli.core.errors import require_extra
from apex_cli.presenters.pages.picture import FONT

ZOOM = 1.5
"""Pixels by unit: sharp on today's screens."""


def require_png() -> None:
    """Refuse a picture before any long work.

    Raises:
        ConfigError: the library or the font is not installed.
    """
    require_extra("png", "font_roboto", "resvg_py", who="A picture")


def png_of(svg: str) -> bytes:
    """Return *svg* as the bytes of a PNG file."""
    from importlib.resources import files

    import resvg_py

    fonts = files("font_roboto") / "files"
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=svg,
            zoom=ZOOM,
            font_files=[str(fonts / "Roboto-Regular.ttf")],
            font_family=FONT,
            sans_serif_family=FONT,
        )
    )
