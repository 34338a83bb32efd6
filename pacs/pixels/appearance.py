"""How a frame is to look, as far as somebody asks for it."""

from __future__ import annotations

from dataclasses import dataclass

from pacs.pixels.gsdf import Display
from pacs.pixels.presentation_state import PresentationState
from pacs.pixels.voi import VoiChoice
from pacs.pixels.window import Window


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a frame, in stored pixels; the first column and row are 0."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Appearance:
    """How a frame is to look; what is left out is as the data set says.

    Parameters
    ----------
    voi
        For grayscale: a window, or which of the data set's windows and tables. Colour has none.
    region
        The part that is shown, None for all of the frame. The default window is that of the whole frame.
    size
        (width, height) that the picture fits into with its aspect kept, None for the stored size.
    enlarge
        Whether a region smaller than ``size`` is enlarged to it.
    flipped_horizontally, flipped_vertically
        Whether left and right, or top and bottom, change places.
    presentation
        A presentation state that applies to the frame, in place of what the image says of its looks.
    in_srgb
        Whether colours that come with an ICC profile are converted to sRGB, or are left as they are stored.
    display
        For grayscale: the display that P-Values are to be shown right on, which is not calibrated itself.

    References
    ----------
    PS3.18 8.3.5.1
    """

    voi: Window | VoiChoice | None = None
    region: Region | None = None
    size: tuple[int, int] | None = None
    enlarge: bool = False
    flipped_horizontally: bool = False
    flipped_vertically: bool = False
    presentation: PresentationState | None = None
    in_srgb: bool = True
    display: Display | None = None


AS_STORED = Appearance()
