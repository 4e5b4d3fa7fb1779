"""Canvas: a white picture that pictures, texts and lines are put on."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lyra_data.media.colour_maps import Picture, colour_levels, hatch

INK, PALE, PAPER = (32, 32, 32), (120, 120, 120), (255, 255, 255)
TEXT, TITLE = 14, 18
"""Heights of letters in pixels. The font is Pillow's own."""


class Canvas:
    """See the module's docstring.

    Args:
        width, height: pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), PAPER)
        self.draw = ImageDraw.Draw(self.image)

    @property
    def pixels(self) -> Picture:
        return np.array(self.image)

    def put(self, picture: Picture, left: int, top: int) -> None:
        self.image.paste(Image.fromarray(picture), (left, top))

    def text(
        self,
        text: str,
        left: int,
        top: int,
        *,
        size: int = TEXT,
        colour: tuple[int, int, int] = INK,
        anchor: str = "la",
    ) -> None:
        """Draw a line of text; `anchor` is Pillow's, by default the text's upper left corner."""
        self.draw.text((left, top), text, fill=colour, font=font(size), anchor=anchor)

    def bar(self, colour_map: int, left: int, top: int, width: int, *, falling: bool) -> None:
        """Draw a colour bar of one line's height, its values rising to the right."""
        level = np.linspace(1, 0, width) if falling else np.linspace(0, 1, width)
        self.put(colour_levels(np.tile(level, (TEXT, 1)), colour_map), left, top)

    def swatch(self, left: int, top: int, colour: tuple[int, int, int] | None = None) -> None:
        """Draw a square of a colour; None: hatched."""
        square = np.full((TEXT, TEXT, 3), colour or PAPER, np.uint8)
        blank = np.full((TEXT, TEXT), colour is None)
        self.put(hatch(square, blank), left, top)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def text_width(text: str, size: int = TEXT) -> int:
    """Return the width of a text in pixels."""
    return round(font(size).getlength(text))


def fitted(text: str, width: int, size: int = TEXT) -> str:
    """Return the text, cut with "..." if it is wider than so many pixels."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(f"{text}...", size) > width:
        text = text[:-1]
    return f"{text}..."


def resized(picture: Picture, height: int, width: int, *, smooth: bool) -> Picture:
    """Resize smoothly for photos; pick pixels for depth and masks, so that no value is made up."""
    if not smooth:
        return cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    is_smaller = height < picture.shape[0]
    way = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=way)
