"""Films as other programs read them: MP4, GIF, and the choice between them."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from modeseek.io import video
from modeseek.io.images import encode_gif
from modeseek.io.video import encode_film, encode_mp4, film_formats, find_film

OF_USERS = video._ENCODER  # before a fixture of all tests replaces it


@pytest.fixture(autouse=True)
def encoded_as_users_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "_ENCODER", OF_USERS)


def test_a_gif_is_read_back_frame_by_frame_in_its_time() -> None:
    levels = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.5]])
    data = encode_gif(levels[:, :, None, None].expand(-1, -1, 6, 8), seconds=1.0)
    with Image.open(io.BytesIO(data)) as gif:
        assert gif.n_frames == 3 and gif.size == (8, 6) and gif.info["loop"] == 0
        duration = 0
        for k, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255)]):
            gif.seek(k)
            duration += gif.info["duration"]
            assert gif.convert("RGB").getpixel((3, 3)) == colour
        assert duration == 1000
    for frames, seconds in ((levels[:0, :, None, None], 1.0), (levels[:, :, None, None], 0.0)):
        with pytest.raises(ValueError, match="a GIF needs at least one frame"):
            encode_gif(frames, seconds)
    with pytest.raises(ValueError, match="1 or 3 channels, got 2"):
        encode_gif(torch.zeros(1, 2, 4, 4))


def test_the_last_frame_of_a_gif_is_held() -> None:
    frames = torch.linspace(0, 1, 5)[:, None, None, None].expand(-1, 1, 4, 4)
    with Image.open(io.BytesIO(encode_film(frames, "gif", fps=8, hold=1.5))) as gif:
        durations = []
        for k in range(5):
            gif.seek(k)
            durations.append(gif.info["duration"])
    assert durations[:4] == [120, 130, 130, 120] and durations[4] == 120 + 1500


@pytest.mark.parametrize("hold", [0.0, 1.5])
def test_frames_encode_to_a_film(hold: float) -> None:
    frames = torch.linspace(0, 1, 5)[:, None, None, None].expand(-1, 1, 17, 16)
    data = encode_film(iter(frames), "mp4", fps=8, hold=hold)
    with av.open(io.BytesIO(data)) as film:
        means = [frame.to_ndarray(format="rgb24").mean() for frame in film.decode(video=0)]
        stream = film.streams.video[0]
        assert (stream.width, stream.height) == (16, 16), "H.264 has even sides"
        assert stream.average_rate == 8 and stream.codec_context.pix_fmt == "yuv420p"
    assert np.allclose(means[:5], np.linspace(0, 255, 5), atol=4) and len(means) == 5 + 8 * hold
    with pytest.raises(ValueError, match="a film must have at least one frame, got none"):
        encode_film(iter(()), "mp4")
    with pytest.raises(ValueError, match="a film must have at least one frame, got none"):
        encode_film([], "gif")


def test_a_browser_starts_to_play_before_it_has_the_whole_file() -> None:
    """The boxes of the file by their headers: the index (moov) comes before the frames (mdat)."""
    data, boxes, at = encode_mp4(torch.rand(3, 3, 32, 32)), [], 0
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        boxes.append(name.decode())
        at += length
    assert boxes[0] == "ftyp" and boxes.index("moov") < boxes.index("mdat")


@pytest.mark.parametrize("colour", [(255, 0, 0), (25, 153, 229), (240, 200, 40)])
def test_colours_survive_in_the_matrix_that_the_file_declares(colour: tuple[int, int, int]) -> None:
    """Y, Cb and Cr by ITU-R BT.709, section 3, with the limited range: what a decoder finds in the first pixel."""
    image = (torch.tensor(colour) / 255)[:, None, None].expand(3, 16, 16)
    with av.open(io.BytesIO(encode_mp4([image] * 3))) as film:
        frame = next(film.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (1, 1), "BT.709, 16 to 235"
        planes = [int(np.frombuffer(bytes(plane), dtype=np.uint8)[0]) for plane in frame.planes]
    r, g, b = (value / 255 for value in colour)
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    want = [16 + 219 * y, 128 + 224 * (b - y) / 1.8556, 128 + 224 * (r - y) / 1.5748]
    assert planes == pytest.approx(want, abs=2)


def test_a_choice_names_formats(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    want = {"auto": ("mp4",), "mp4": ("mp4",), "gif": ("gif",), "both": ("mp4", "gif"), "none": ()}
    assert {film: film_formats(film) for film in want} == want  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(video, "find_spec", lambda name: None)
    assert film_formats("auto") == ("gif",), "without PyAV"
    for wish in ("mp4", "both"):
        with pytest.raises(ValueError, match="the package av, which is missing; pip install av, or use film gif"):
            film_formats(wish)
    assert find_film(tmp_path, "turntable") is None
    for extension in ("gif", "mp4"):
        (tmp_path / f"turntable.{extension}").touch()
        assert find_film(tmp_path, "turntable") == tmp_path / f"turntable.{extension}", "MP4 before GIF"
