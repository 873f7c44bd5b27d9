"""The roster of methods: what stands on a class is true of it, and every list knows the method."""

from __future__ import annotations

from dataclasses import fields

import pytest

from modeseek.citations.bibtex import read_sources
from modeseek.datasets.toy2d import ring
from modeseek.experiments.toy2d.entries_all import ALL_ENTRIES
from modeseek.experiments.toy2d.entries_tuned import DIGITS_ENTRIES
from modeseek.experiments.toy2d.toy2d import Toy2DPlan
from modeseek.methods import METHODS, SDS, SJC, Debiased
from modeseek.methods.base import has_target, own_scale
from modeseek.reports.method_notes import method_note


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_known_sources_its_own_scale_if_it_guides_and_an_entry(name: str) -> None:
    cls = METHODS[name]
    assert cls.references and set(cls.references) <= read_sources().keys()
    scaled = "scale" in {f.name for f in fields(cls)}  # pyright: ignore[reportArgumentType]
    assert cls.guides == (scaled or name == "csd") and scaled == (own_scale(cls) is not None)
    assert "arXiv" in (cls.__doc__ or "").partition("): ")[0] and len(method_note(cls)) > 10
    entry = ALL_ENTRIES[name]
    assert entry.references[: len(cls.references)] == cls.references and entry.note.startswith(method_note(cls))


def test_methods_whose_directions_have_a_target_say_so() -> None:
    """`debiased` has the target of the method that it wraps, so its class alone says nothing."""
    known = {name for name, cls in METHODS.items() if has_target(cls)}
    assert known == {"msd", "sds", "sdi", "pfd", "ism", "vsd", "vpsd", "esd", "asd"}
    assert has_target(Debiased(SDS())) and not has_target(Debiased(SJC()))


def test_entries_name_the_method_that_they_descend_along() -> None:
    assert len(METHODS) > 20 and len(set(METHODS.values())) == len(METHODS)
    task = Toy2DPlan(ring(), (), label="each").task(ring().prior)
    for entry in (*ALL_ENTRIES.values(), *DIGITS_ENTRIES.values()):
        method = entry.algorithm(task).method
        assert entry.descends == (None if method is None else type(method)), entry.name
