"""Colours and the style sheet of our widgets, from napari's theme."""

from __future__ import annotations

import dataclasses

__all__ = ["Palette", "palette_of", "style_sheet"]

_CARD = 0.40
_MUTED = 0.38
_GOOD, _BAD = (60, 158, 104), (214, 76, 76)
_LIGHT = 450
"""An accent whose R + G + B is more than this takes dark text."""

RGB = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Palette:
    """RGB colours (0-255) that our own painting and style sheet use."""

    background: RGB
    card: RGB
    field: RGB
    border: RGB
    text: RGB
    muted: RGB
    accent: RGB
    good: RGB = _GOOD
    bad: RGB = _BAD


def _mix(one: RGB, other: RGB, share: float) -> RGB:
    return tuple(round(a + (b - a) * share) for a, b in zip(one, other, strict=True))  # type: ignore[return-value]


def palette_of(theme_id: str) -> Palette:
    """Return our colours for one of napari's themes."""
    from napari.utils.theme import get_theme

    theme = get_theme(theme_id)

    def rgb(colour: object) -> RGB:
        return tuple(int(v) for v in colour.as_rgb_tuple()[:3])  # type: ignore[attr-defined,return-value]

    background, foreground, text = rgb(theme.background), rgb(theme.foreground), rgb(theme.text)
    return Palette(
        background=background,
        card=_mix(background, foreground, _CARD),
        field=background,
        border=_mix(foreground, rgb(theme.primary), 0.5),
        text=text,
        muted=_mix(text, background, _MUTED),
        accent=rgb(theme.current),
    )


def css(colour: RGB) -> str:
    """Return a colour as a style sheet writes it."""
    return f"rgb({colour[0]}, {colour[1]}, {colour[2]})"


def style_sheet(p: Palette) -> str:
    """Return the style sheet of the dock widget, on top of napari's own."""
    on_accent = "white" if sum(p.accent) < _LIGHT else "rgb(20, 22, 26)"
    hover, pressed = _mix(p.accent, (255, 255, 255), 0.12), _mix(p.accent, (0, 0, 0), 0.15)
    return f"""
    QFrame#mfSection {{ background: {css(p.card)}; border-radius: 6px; }}
    QFrame#mfGuide {{ background: {css(p.card)}; border-left: 3px solid {css(p.accent)}; }}
    QFrame#mfSection QLabel, QFrame#mfGuide QLabel, QFrame#mfGuide QWidget#mfBody {{
        background: transparent; }}
    QFrame#mfSection QWidget#mfBody {{ background: transparent; }}
    QLabel#mfTitle {{ font-weight: 600; }}
    QLabel#mfHeading {{ font-weight: 600; padding-top: 8px;
        border-top: 1px solid {css(p.border)}; }}
    QLabel#mfHint, QLabel#mfSummary {{ color: {css(p.muted)}; }}
    QLabel#mfBadge {{ background: {css(p.border)}; color: {css(p.text)}; border-radius: 9px;
        font-weight: 600; min-width: 18px; max-width: 18px; min-height: 18px; max-height: 18px; }}
    QLabel#mfBadge[done="true"] {{ background: {css(p.good)}; color: white; }}
    QLabel#mfBadge[current="true"] {{ background: {css(p.accent)}; color: {on_accent}; }}
    QFrame#mfHeader, QFrame#mfSection QCollapsible, QFrame#mfSection QCollapsible QFrame,
    QFrame#mfSection QCollapsible QWidget#mfBody {{ background: transparent; }}
    QFrame#mfSection QCollapsible QPushButton {{ background: transparent; padding: 3px 0px;
        color: {css(p.muted)}; text-align: left; }}
    QFrame#mfSection QCollapsible QPushButton:disabled {{ border: none; }}
    QFrame#mfSection QPushButton, QFrame#mfGuide QPushButton {{ padding: 5px 4px; }}
    QPushButton[primary="true"] {{ background: {css(p.accent)}; color: {on_accent};
        font-weight: 600; }}
    QPushButton[primary="true"]:hover {{ background: {css(hover)}; }}
    QPushButton[primary="true"]:pressed {{ background: {css(pressed)}; }}
    QPushButton[primary="true"]:disabled {{ background: {css(p.border)};
        color: {css(p.muted)}; }}
    QFrame#mfSection QPushButton:checked {{ background: {css(p.accent)}; color: {on_accent}; }}
    QFrame#mfSection QCollapsible QPushButton:checked {{ background: transparent;
        color: {css(p.muted)}; }}
    QFrame#mfSection QCollapsible QPushButton#mfInFold {{ background: {css(p.border)};
        padding: 5px 6px; color: {css(p.text)}; text-align: center; }}
    QFrame#mfSection QCollapsible QPushButton#mfInFold:disabled {{ color: {css(p.muted)}; }}
    QFrame#mfSection QPushButton:disabled {{ color: {css(p.muted)}; }}
    QFrame#mfSection QPushButton#mfFold {{ background: transparent; padding: 3px 0px;
        color: {css(p.muted)}; text-align: left; }}
    QTreeWidget#mfTracks, QTreeWidget#mfClasses, QListWidget#mfFindings, QListWidget#mfIgnored {{
        background: {css(p.field)}; border: 1px solid {css(p.border)}; border-radius: 4px; }}
    QTreeWidget#mfTracks::item, QTreeWidget#mfClasses::item, QListWidget#mfIgnored::item {{
        padding: 3px 2px; }}
    QToolButton#mfTerm {{ background: transparent; border: none; padding: 1px 3px;
        color: {css(p.text)}; }}
    QToolButton#mfTerm:hover {{ background: {css(p.border)}; border-radius: 3px; }}
    QToolButton#mfTerm:!checked {{ color: {css(p.muted)}; }}
    QLabel#mfGood {{ color: {css(p.good)}; }}
    QLabel#mfBad {{ color: {css(p.bad)}; }}
    QPushButton[guided="true"] {{ border: 2px solid {css(p.text)}; padding: 3px 2px; }}
    QProgressBar {{ min-height: 18px; text-align: center; }}
    QProgressBar#mfThin {{ min-height: 4px; max-height: 4px; }}
    """
