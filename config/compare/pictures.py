"""Compare pictures pixel by pixel."""

import base64
from io import BytesIO

from PIL import Image, ImageChops, ImageDraw, ImageSequence

from .texts import CLOSE, DIFFERS, SAME, Outcome

# Levels of brightness, of 255: rounding while drawing makes one or two, and nobody sees them.
INVISIBLE = 2
MARGIN = 3


def compare(saved: bytes, new: bytes) -> tuple[Outcome, bytes]:
    """Compare two pictures as they look on white; gives a PNG of the saved one, pale, with all that differs in red."""
    if saved == new:
        return Outcome(SAME), b""
    try:
        before, after = _frames(saved), _frames(new)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        return Outcome(DIFFERS, f"one of the pictures cannot be read: {error}"), b""
    if len(before) != len(after):
        return Outcome(DIFFERS, f"it has {len(after)} frames, and had {len(before)}"), b""
    found = [_compare_frame(*frames) for frames in zip(before, after, strict=True)]
    verdicts = [outcome.verdict for outcome, _ in found]
    return found[verdicts.index(next(one for one in (DIFFERS, CLOSE, SAME) if one in verdicts))]


def data_url(content: bytes, kind: str = "image/png") -> str:
    """Give a picture as a page holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}" if content else ""


def _frames(content: bytes) -> list[Image.Image]:
    """Decode a picture, or each of a film, on white."""
    frames = []
    with Image.open(BytesIO(content)) as picture:
        for frame in ImageSequence.Iterator(picture):
            colours = frame.convert("RGBA")
            white = Image.new("RGBA", colours.size, "white")
            frames.append(Image.alpha_composite(white, colours).convert("RGB"))
    return frames


def _compare_frame(before: Image.Image, after: Image.Image) -> tuple[Outcome, bytes]:
    size = (max(before.width, after.width), max(before.height, after.height))
    old, new = _on_white(before, size), _on_white(after, size)
    red, green, blue = ImageChops.difference(old, new).split()
    by = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    counts = by.histogram()
    changed, pixels = sum(counts[1:]), size[0] * size[1]
    largest = max((level for level, count in enumerate(counts) if count), default=0)
    if before.size != after.size:
        what = "it is {} x {} pixels, and was {} x {}".format(*after.size, *before.size)
        return Outcome(DIFFERS, f"another size: {what}"), _marked(old, by)
    if not changed:
        return Outcome(SAME), b""
    if largest <= INVISIBLE:
        why = f"{changed / pixels:.2%} of the pixels differ, none by more than {largest} of 255 levels"
        return Outcome(CLOSE, why), _marked(old, by)
    left, top, right, bottom = by.getbbox() or (0, 0, *size)
    why = (
        f"{_percent(changed / pixels)} of the pixels differ ({changed:,} of {pixels:,}), by up to {largest / 255:.0%} "
        f"of full brightness, all within {right - left} x {bottom - top} pixels at x {left}, y {top}"
    )
    return Outcome(DIFFERS, why), _marked(old, by)


def _percent(part: float) -> str:
    return f"{part:.2%}" if part >= 0.0001 else "less than 0.01%"


def _on_white(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    if picture.size == size:
        return picture
    white = Image.new("RGB", size, "white")
    white.paste(picture)
    return white


def _marked(old: Image.Image, by: Image.Image) -> bytes:
    pale = Image.blend(old.convert("L").convert("RGB"), Image.new("RGB", old.size, "white"), 0.7)
    pale.paste((214, 0, 0), mask=by.point([0] + [255] * 255))
    if box := by.getbbox():
        # A single point is found only by what is drawn around it.
        edges = (box[0] - MARGIN, box[1] - MARGIN, box[2] + MARGIN, box[3] + MARGIN)
        ImageDraw.Draw(pale).rectangle(edges, outline=(214, 0, 0))
    file = BytesIO()
    pale.save(file, "PNG", optimize=True)
    return file.getvalue()
