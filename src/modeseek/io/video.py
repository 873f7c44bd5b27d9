"""MP4 video (H.264), encoded by PyAV (extra `video`)."""

from __future__ import annotations

import io
from importlib.util import find_spec

import numpy as np
from jaxtyping import Float
from torch import Tensor

from modeseek.io.images import to_pixels

_HOLD = 1.5  # seconds for which the last frame is held


def check_video_support() -> None:
    """Raises ValueError if PyAV is not installed."""
    if find_spec("av") is None:
        raise ValueError("MP4 export needs the package av: run pip install 'modeseek[video]', or set mp4 to false")


def encode_mp4(frames: Float[Tensor, "n c h w"], fps: int = 8) -> bytes:
    """MP4 of frames, clipped to [0, 1]; odd sides lose their last row or column, which H.264 forbids.

    Args:
        frames: one or more frames; c is 1 or 3.
        fps: frames per second.

    Raises:
        ValueError: there are no frames, or PyAV is not installed.
    """
    check_video_support()
    if not len(frames):
        raise ValueError("a video needs at least one frame, got none")
    import av

    images = list(to_pixels(frames).repeat(3 // frames.shape[1], axis=3))
    height, width = (side - side % 2 for side in images[0].shape[:2])
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=fps, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for image in [*images, *[images[-1]] * round(_HOLD * fps)]:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return out.getvalue()
