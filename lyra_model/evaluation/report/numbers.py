"""Numbers as text, once for the page and the terminal."""

from __future__ import annotations

import math

ABSENT = "\u2013"


def decibels(value: float | None) -> str:
    """Return a PSNR with two decimals, without its unit."""
    return _fixed(value, 2)


def signed_decibels(value: float | None) -> str:
    """Return a difference of PSNR with its sign and two decimals, without its unit."""
    text = _fixed(value, 2)
    if value is None or math.isnan(value):
        return text
    return f"+{text}" if value >= 0 else text.replace("-", "\N{MINUS SIGN}")


def ratio(value: float | None) -> str:
    """Return SSIM or a relative error with three decimals."""
    return _fixed(value, 3)


def percent(share: float | None) -> str:
    """Return a share 0..1 as "93.4 %"."""
    return ABSENT if share is None else f"{100 * share:.1f}\u202f%"


def count(value: int) -> str:
    """Return a whole number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")


def duration(seconds: float) -> str:
    """Return a time as "0.8 s", "12.3 s", "4 min 05 s" or "2 h 10 min"."""
    if seconds < 60:
        return f"{seconds:.1f}\u202fs"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}\u202fmin {rest:02d}\u202fs"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}\u202fh {minutes:02d}\u202fmin"


def _fixed(value: float | None, decimals: int) -> str:
    if value is None or math.isnan(value):
        return ABSENT
    return "∞" if math.isinf(value) else f"{value:.{decimals}f}"
