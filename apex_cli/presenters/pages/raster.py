"""A picture as PNG: resvg draws it, with a font that comes along, so that it looks the same on every machine."""

from __future__ import annotations

from apex_cli.core.errors import ConfigError, install_command
from apex_cli.presenters.pages.picture import FONT

ZOOM = 1.5
"""Pixels by unit: sharp on today's screens."""


def require_png() -> None:
    """Say which extra is missing, before any long work.

    Raises:
        ConfigError: the library or the font is not installed.
    """
    try:
        import font_roboto  # noqa: F401 - only whether it is there
        import resvg_py  # noqa: F401 - same
    except ImportError:
        raise ConfigError(
            "extra_missing",
            "A picture needs the extra 'png', which is not installed.",
            hint=install_command("png"),
        ) from None


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
