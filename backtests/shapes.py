"""Pictures made of a few shapes, in pixels: as SVG, or as PNG by Pillow."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import ClassVar, Literal

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

Point = tuple[float, float]

_COLOURS = {
    "grid": "#d5d9de",
    "text": "#5f6b7a",
    "price": "#5f6b7a",
    "equity": "#2563a8",
    "drawdown": "#c9302c",
    "entry": "#2563a8",
    "gain": "#2b8a57",
    "loss": "#c9302c",
}
_FONT_SIZE = 12
_PNG_SCALE = 2  # Pillow draws edges as steps: drawn larger, they are smoothed


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line through points; ``kind`` names its colour."""

    kind: str
    points: list[Point]
    name: ClassVar[str] = "line"

    @property
    def path(self) -> str:
        return _path(self.points)


@dataclass(frozen=True, slots=True, kw_only=True)
class Areas:
    """Filled polygons of one kind."""

    kind: str
    polygons: list[list[Point]]
    name: ClassVar[str] = "area"

    @property
    def path(self) -> str:
        return "".join(f"{_path(points)}Z" for points in self.polygons)


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A text of one line on its base line."""

    text: str
    at: Point
    anchor: Literal["start", "middle", "end"] = "start"

    @property
    def x(self) -> str:
        return f"{self.at[0]:.1f}"

    @property
    def y(self) -> str:
        return f"{self.at[1]:.1f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Shapes, drawn in their order, and what they show in words."""

    width: int
    height: int
    title: str
    description: str
    shapes: list[Line | Areas]
    labels: list[Label]


def as_svg(picture: Picture) -> SafeString:
    """Return an ``svg`` element, for a file as for a page of the admin."""
    return render_to_string(
        "backtests/picture.svg",
        {"picture": picture, "colours": _COLOURS, "font_size": _FONT_SIZE},
    )


def as_png(picture: Picture) -> bytes:
    """Return a PNG file."""
    from PIL import Image, ImageDraw, ImageFont  # not needed to serve

    def scaled(points: list[Point]) -> list[Point]:
        return [(x * _PNG_SCALE, y * _PNG_SCALE) for x, y in points]

    size = (picture.width * _PNG_SCALE, picture.height * _PNG_SCALE)
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(_FONT_SIZE * _PNG_SCALE)
    for shape in picture.shapes:
        colour = _COLOURS[shape.kind]
        if isinstance(shape, Line):
            draw.line(scaled(shape.points), colour, _PNG_SCALE)
        else:
            for points in shape.polygons:
                draw.polygon(scaled(points), colour)
    for label in picture.labels:
        anchor = {"start": "ls", "middle": "ms", "end": "rs"}[label.anchor]
        (at,) = scaled([label.at])
        draw.text(at, label.text, _COLOURS["text"], font=font, anchor=anchor)
    target = BytesIO()
    image.resize((picture.width, picture.height), Image.Resampling.LANCZOS).save(
        target, "PNG"
    )
    return target.getvalue()


def _path(points: list[Point]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
