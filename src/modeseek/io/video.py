"""MP4 video (H.264) from PNG frames, encoded by PyAV (extra `video`)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

_HOLD = 1.5  # seconds for which the last frame is held


def check_video_support() -> None:
    """Raises ValueError if PyAV is not installed."""
    if find_spec("av") is None:
        raise ValueError("MP4 export needs the package av: run pip install 'modeseek[video]', or set mp4 to false")


def encode_mp4(frames: Sequence[bytes], fps: int = 8) -> bytes:
    """MP4 of PNG frames of one size; odd sides lose their last row or column, which H.264 forbids.

    Args:
        frames: PNG data of each frame, at least one.
        fps: frames per second.

    Raises:
        ValueError: there are no frames, or PyAV is not installed.
    """
    check_video_support()
    if not frames:
        raise ValueError("a video needs at least one frame, got none")
    import av
    from PIL import Image

    images = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in frames]
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
