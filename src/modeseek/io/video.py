"""Pictures as a film that every player and slide knows: H.264 in MP4, by PyAV (extra `video`)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

_HELD = 1.5  # seconds that the last picture stays


def check_video_support() -> None:
    """ValueError where PyAV is missing."""
    if find_spec("av") is None:
        raise ValueError("an MP4 needs the package av: got none; pip install 'modeseek[video]', or set mp4 to false")


def encode_mp4(pictures: Sequence[bytes], fps: int = 8) -> bytes:
    """A film of PNGs of one size, `rate` a second; odd sides lose their last row or column, which H.264 forbids.

    Raises:
        ValueError: no pictures, or PyAV is not installed.
    """
    check_video_support()
    if not pictures:
        raise ValueError("a film needs pictures: got none")
    import av
    from PIL import Image

    frames = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in pictures]
    height, width = (side - side % 2 for side in frames[0].shape[:2])
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=fps, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in [*frames, *[frames[-1]] * round(_HELD * fps)]:
            shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            container.mux(stream.encode(shown))
        container.mux(stream.encode())
    return out.getvalue()
