"""Safe YAML subset: round trips, refusals, fuzzing."""

from __future__ import annotations

import math
import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cases import one_line
from fuzz import (
    configs,
    corrupted_text,
    error_line,
    mutated_data,
    plain_data,
    scalars,
    settings_like,
    soak,
    time_limit,
    yaml_fragments,
)
from hypothesis import example, given
from hypothesis import strategies as st

from modeseek.config.config import read_config, read_yaml_file
from modeseek.config.yaml import MAX_CHARACTERS, read_yaml, write_yaml


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal, of the same types and in the same order."""
    if isinstance(a, dict):
        return list(a) == list(b) and all(type(k) is type(m) for k, m in zip(a, b, strict=True)) and same_parts(a, b)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b and math.copysign(1, a) == math.copysign(1, b) if is_float(a) else a == b)


def same_parts(a: dict[Any, Any], b: dict[Any, Any]) -> bool:
    return all(same(a[key], b[key]) for key in a)


def is_float(a: Any) -> bool:
    return isinstance(a, float)


@pytest.mark.slow
@given(plain_data)
@example(["1e3", "1.e3", ".5e-3", "1E5", "0o7", "010", "1_0", "1:30", "2020-01-01", "=", "<<", "~", "", " a", "a: b"])
@example(["\x85", "\u2028", "a\nb\n", "\ufeff", "\0", "\ud800", "\x07", "é", "😀", "a" * 300, "# a", "!a", "&a", "*a"])
@example({"yes": "no", "": None, 1: 2, False: True, "a" * 200: [[[]], {}, {"b": ()}]})
@example([1e22, 1e-5, -0.0, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, 2**1023])
def test_what_is_written_is_read_back(plain: Any) -> None:
    text = write_yaml(plain)
    assert same(listed(plain), read_yaml(text, "it"))


def listed(plain: Any) -> Any:
    """Plain data with tuples replaced by lists."""
    if isinstance(plain, dict):
        return {key: listed(value) for key, value in plain.items()}
    return [listed(part) for part in plain] if isinstance(plain, list | tuple) else plain


@given(st.text() | st.sampled_from(["1e3", "1.5e-3", "010", "1:30", "2020-01-01", "=", "<<", "1_0", "0b1"]))
def test_text_stays_text_for_other_readers_of_yaml(text: str) -> None:
    written = write_yaml({"a": text})
    assert yaml.safe_load(written)["a"] == text
    assert read_yaml(written, "it")["a"] == text


def test_nan_and_the_same_object_twice() -> None:
    assert math.isnan(read_yaml(write_yaml([math.nan]), "it")[0])
    part = [1, 2]
    text = write_yaml({"a": part, "b": part})
    assert "&" not in text and "*" not in text and read_yaml(text, "it") == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("-2e+3", -2000.0),
        ("1.5e-3", 0.0015),
        (".5", 0.5),
        ("3.", 3.0),
        ("-.inf", -math.inf),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0b101", 5),
        ("010", 8),
        ("0", 0),
        ("-0.0", -0.0),
        ("1:30", "1:30"),
        ("1:30:59.5", "1:30:59.5"),
        ("2020-01-01", "2020-01-01"),
        ("2020-99-99", "2020-99-99"),
        ("2020-01-01 10:00:00", "2020-01-01 10:00:00"),
        ("=", "="),
        ("inf", "inf"),
        ("1e", "1e"),
        ("e5", "e5"),
        (".", "."),
        ("+", "+"),
        ("089", "089"),
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("", None),
        ("! b", "b"),
    ],
)
def test_what_plain_words_mean(text: str, value: Any) -> None:
    assert same(read_yaml(f"a: {text}\n", "it"), {"a": value})


def test_merges_are_no_merges() -> None:
    assert read_yaml("a: {<<: {b: 1}}", "it") == {"a": {"<<": {"b": 1}}}


def test_byte_order_marks_and_foreign_line_ends() -> None:
    assert read_yaml("\ufeffa: 1\r\nb: 2\r\n", "it") == {"a": 1, "b": 2}
    assert read_yaml("", "it") is None
    assert read_yaml("# nothing\n", "it") is None


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(20)
)

REFUSED = {
    "anchor": ("a: &x 1", "it line 1 has an anchor or alias; write the value out"),
    "alias": ("b: 1\na: *x", "it line 2 has an anchor or alias"),
    "a billion laughs": (LAUGHS, "it line 1 has an anchor"),
    "a loop": ("&a [*a]", "it line 1 has an anchor"),
    "merged alias": ("a: &a {b: 1}\nc: {<<: *a}", "it line 1 has an anchor"),
    "python object": ("a: !!python/object/apply:os.system [ls]", "line 1 has the tag '.*os.system'; remove the tag"),
    "python name": ("a: !!python/name:os.system", "line 1 has the tag"),
    "python tuple": ("\na: !!python/tuple [1]", "line 2 has the tag"),
    "binary": ("a: !!binary aGk=", "line 1 has the tag"),
    "timestamp": ("a: !!timestamp 2020-01-01", "line 1 has the tag"),
    "plain tag": ("a: !!str 1", "line 1 has the tag"),
    "tagged map": ("!!map {a: 1}", "line 1 has the tag"),
    "set": ("!!set {a, b}", "line 1 has the tag"),
    "own tag": ("a: !mine 1", "line 1 has the tag '!mine'"),
    "declared tag": ("%TAG ! tag:x,2000:\n---\na: !b 1", "line 3 has the tag"),
    "long tag": ("a: !" + "b" * 500 + " 1", "line 1 has the tag '!b{59}'"),
    "deep lists": ("[" * 500 + "]" * 500, "line 1 is nested deeper than 40 levels; flatten it"),
    "deep maps": ("{a: " * 300 + "}" * 300, "line 1 is nested deeper than 40"),
    "deep blocks": ("".join(" " * i + "a:\n" for i in range(200)), "line 41 is nested deeper than 40"),
    "deep dashes": ("- " * 5000, "line 1 is nested deeper than 40"),
    "same key": ("a: 1\nb: 2\na: 3", "line 3, column 1: duplicate key 'a'"),
    "same key below": ("a: {b: 1, b: 1}", "line 1, column 11: duplicate key 'b'"),
    "same key quoted": ("a: 1\n'a': 2", "line 2, column 1: duplicate key 'a'"),
    "same key in another base": ("1: a\n0x1: b", "line 2, column 1: duplicate key 1"),
    "equal keys": ("1: a\n1.0: b", "line 2, column 1: duplicate key 1.0"),
    "no key twice": ("~: a\nnull: b", "line 2, column 1: duplicate key None"),
    "list as key": ("[a]: 1", "line 1, column 1: a key must be a scalar"),
    "map as key": ("? {a: 1}\n: 1", "line 1, column 3: a key must be a scalar"),
    "two documents": ("a: 1\n---\nb: 2", "another document"),
    "huge": ("a: " + "9" * 4000, "line 1, column 4: number out of range"),
    "huger": ("a: " + "9" * 5000, "it is not valid YAML: .*4300"),
    "huge hexadecimal": ("a: 0x" + "f" * 5000, "line 1, column 4: number out of range"),
    "huge binary": ("a: 0b" + "1" * 5000, "line 1, column 4: number out of range"),
    "no digits": ("a: 0x_", "it is not valid YAML: invalid literal"),
    "NUL": ("a: \0", "unacceptable character #x0000"),
    "half a pair": ("a: \ud800", "unacceptable character"),
    "tab": ("\ta: 1", "line 1, column 1: .*cannot start any token"),
    "open quote": ("a: 'b", "line 1, column 6: found unexpected end of stream"),
    "open bracket": ("a: [1, 2", "expected ',' or ']'"),
    "two colons": ("a: b: c", "line 1, column 5: mapping values are not allowed here"),
    "indentation": ("a: 1\n  b: 2", "line 2, column 4"),
    "long": ("# " + "x" * MAX_CHARACTERS, f"at most {MAX_CHARACTERS} characters, got {MAX_CHARACTERS + 2}"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_constructs_beyond_plain_data_are_refused_with_their_line(case: str) -> None:
    text, message = REFUSED[case]
    with time_limit(2), pytest.raises(ValueError, match=message) as error:
        read_yaml(text, "it")
    assert one_line(error.value).startswith("it ") and len(str(error.value)) < 300


def test_nothing_below_the_limits_is_refused() -> None:
    deep = "[" * 40 + "]" * 40
    assert read_yaml(deep, "it") == read_yaml(deep, "it") != []
    with pytest.raises(ValueError, match="deeper"):
        read_yaml(f"[{deep}]", "it")
    assert read_yaml(f"a: {2**1024 - 1}", "it") == {"a": 2**1024 - 1}
    assert read_yaml("#" + "x" * (MAX_CHARACTERS - 1), "it") is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "[" + "1," * (MAX_CHARACTERS // 2 - 1) + "]",
        "a: 1" + ":1" * (MAX_CHARACTERS // 2 - 2),
        "'" + "a\n" * (MAX_CHARACTERS // 2 - 1),
    ],
    ids=["many", "sexagesimal", "open quote"],
)
def test_the_longest_text_is_read_in_seconds(text: str) -> None:
    started = time.process_time()
    with time_limit():
        error_line(lambda: read_yaml(text, "it"))
    assert time.process_time() - started < 10


def read_all(text: str) -> Callable[[], Any]:
    return lambda: read_config(read_yaml(text, "it"), "it")


@pytest.mark.slow
@soak
@given(data=st.data())
def test_fuzz_corrupted_text_is_read_or_refused_in_one_line(data: st.DataObject, unchecked: None) -> None:
    config = data.draw(configs)
    error_line(read_all(data.draw(corrupted_text(config.to_yaml()))))


@soak
@given(text=st.lists(yaml_fragments | scalars.map(str), max_size=12).map("".join) | st.text(max_size=60))
def test_fuzz_any_text_is_read_or_refused_in_one_line(text: str, unchecked: None) -> None:
    error_line(read_all(text))


@pytest.mark.slow
@soak
@given(data=st.data())
def test_fuzz_mutated_configurations_are_read_or_refused_in_one_line(data: st.DataObject, unchecked: None) -> None:
    plain = data.draw(mutated_data(data.draw(configs).to_dict()))
    line = error_line(lambda: read_config(plain))
    assert line is None or line.startswith("config")
    error_line(read_all(write_yaml(plain)))


@pytest.mark.slow
@soak
@given(plain=settings_like | plain_data)
def test_fuzz_any_data_are_read_or_refused_in_one_line(plain: Any, unchecked: None) -> None:
    error_line(lambda: read_config(plain))
    error_line(read_all(write_yaml(plain)))


def test_files_that_are_not_text(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    for data, message in (
        (b"a: \xff", "config.yaml must be UTF-8 text, got an invalid byte at position 3; try a YAML file"),
        ("a: 1".encode("utf-16"), "config.yaml must be UTF-8 text, got an invalid byte at position 0"),
        (b"a: \0", "config.yaml is not valid YAML: .*#x0000"),
        (b"\x93NUMPY", "config.yaml must be UTF-8 text, got an invalid byte at position 0"),
        (bytes(4 * MAX_CHARACTERS + 1), f"config.yaml must have at most {4 * MAX_CHARACTERS} bytes"),
    ):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=message) as error:
            read_yaml_file(path)
        one_line(error.value)
    path.write_bytes(b"")
    assert read_yaml_file(path) is None
    path.write_text("a: ü", encoding="utf-8")
    assert read_yaml_file(path) == {"a": "ü"}
    assert read_yaml_file(tmp_path) == {"a": "ü"}, "the folder of a run is read by its config.yaml"


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing.yaml"):
        read_yaml_file(tmp_path / "missing.yaml")
    with pytest.raises(FileNotFoundError, match="config.yaml"):
        read_yaml_file(tmp_path)
    (tmp_path / "config.yaml").mkdir()
    with pytest.raises(OSError, match="config.yaml"):
        read_yaml_file(tmp_path)


def test_no_more_of_a_large_file_is_read_than_needed(tmp_path: Path) -> None:
    large = tmp_path / "model.safetensors"
    large.touch()
    os.truncate(large, 200 * 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"model\.safetensors must have at most"):
            read_yaml_file(large)
        assert tracemalloc.get_traced_memory()[1] < 16 * MAX_CHARACTERS
    finally:
        tracemalloc.stop()
