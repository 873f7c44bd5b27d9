"""Films: MP4 (H.264) where PyAV is installed, GIF everywhere."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.io.images import encode_gif, to_pixels

FilmFormat = Literal["mp4", "gif"]
Film = Literal["auto", "mp4", "gif", "both", "none"]
_BT709 = 1  # code of its primaries, transfer curve and matrix in H.264
_ENCODER = {"crf": "18"}  # options of H.264
_LIMITED = 1  # code of the range 16 to 235


def check_video_support() -> None:
    """Raises ValueError if PyAV is not installed."""
    if find_spec("av") is None:
        raise ValueError("an MP4 film needs the package av, which is missing; pip install av, or use film gif")


def film_formats(film: Film) -> tuple[FilmFormat, ...]:
    """Returns the formats of a choice; auto is MP4 where PyAV is installed, else GIF.

    Raises:
        ValueError: MP4 without PyAV.
    """
    if film in ("mp4", "both"):
        check_video_support()
    if film == "auto":
        return ("mp4",) if find_spec("av") is not None else ("gif",)
    formats: dict[Film, tuple[FilmFormat, ...]] = {"mp4": ("mp4",), "gif": ("gif",), "both": ("mp4", "gif"), "none": ()}
    return formats[film]


def find_film(folder: Path, name: str) -> Path | None:
    """Returns the film `name` of a folder, MP4 before GIF; None if there is none."""
    paths = (folder / f"{name}.{extension}" for extension in get_args(FilmFormat))
    return next((path for path in paths if path.is_file()), None)


def encode_film(frames: Iterable[Float[Tensor, "c h w"]], film: FilmFormat, fps: int = 8, hold: float = 0.0) -> bytes:
    """Returns the file of a film; a GIF repeats forever.

    Args:
        frames: one or more frames of one size, clipped to [0, 1]; c is 1 or 3. An MP4 takes them one at a time.
        film: format.
        fps: frames per second, >= 1.
        hold: time for which the last frame stays beyond its own, seconds.

    Raises:
        ValueError: there are no frames, or MP4 without PyAV.
    """
    if film == "mp4":
        return encode_mp4(frames, fps, hold)
    images = [frame.detach().cpu().half() for frame in frames]  # exact for 8 bits
    if not images:
        raise ValueError("a film must have at least one frame, got none")
    return encode_gif(torch.stack(images), len(images) / fps, hold)


def encode_mp4(frames: Iterable[Float[Tensor, "c h w"]], fps: int = 8, hold: float = 0.0) -> bytes:
    """MP4 of frames, clipped to [0, 1]: H.264, 4:2:0, BT.709, index first, as browsers play it.

    Odd sides lose their last row or column, which H.264 forbids.

    Args:
        frames: one or more frames of one size, taken one at a time; c is 1 or 3.
        fps: frames per second, >= 1.
        hold: time for which the last frame stays beyond its own, seconds.

    Raises:
        ValueError: there are no frames, or PyAV is not installed.
    """
    check_video_support()
    images = (to_pixels(frame.expand(3, -1, -1)[None])[0] for frame in frames)
    first = next(images, None)
    if first is None:
        raise ValueError("a film must have at least one frame, got none")
    import av

    with tempfile.TemporaryDirectory() as folder:  # the index is moved to the front of a file
        path = Path(folder) / "film.mp4"
        with av.open(path, "w", format="mp4", container_options={"movflags": "faststart"}) as container:
            stream = _add_stream(container, first.shape[:2], fps)
            frame: Any = None
            for frame in map(_to_frame, chain([first], images)):
                container.mux(stream.encode(frame))
            for held in repeat(frame, round(hold * fps)):
                held.pts = None  # it takes the next place in the film
                container.mux(stream.encode(held))
            container.mux(stream.encode())
        return path.read_bytes()


def _add_stream(container: Any, shape: tuple[int, ...], fps: int) -> Any:
    stream = container.add_stream("h264", rate=fps, options=_ENCODER)
    height, width = (side - side % 2 for side in shape)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    context = stream.codec_context
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = _LIMITED
    return stream


def _to_frame(image: np.ndarray) -> Any:
    """Frame of an image (h, w, 3), in the colours that the stream declares."""
    import av
    from av.video.reformatter import ColorRange, Colorspace

    height, width = (side - side % 2 for side in image.shape[:2])
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
    return frame.reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
    )  # fmt: skip
