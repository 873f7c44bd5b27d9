"""The bibliography: complete records, short references, and BibTeX that reads back as it was."""

from __future__ import annotations

import pytest

from modeseek.citations.bibtex import bibtex, find_sources, read_sources


def test_every_record_is_complete() -> None:
    for key, source in read_sources().items():
        assert source.key == key and source.authors and source.title and source.venue and 1950 < source.year < 2030
        if source.venue.startswith("arXiv "):
            assert source.url == f"https://arxiv.org/abs/{source.venue.removeprefix('arXiv ')}"


def test_references_name_up_to_two_authors() -> None:
    dds, guidance, sdi = find_sources(["dds", "guidance", "sdi"])
    assert dds.formatted == "Hertz et al.: Delta Denoising Score. arXiv 2304.07090, 2023"
    assert guidance.formatted.startswith("Ho and Salimans: ")
    assert sdi.authors[-1] == "others" and sdi.formatted.startswith("Lukoianov et al.: ")


def test_what_is_cited_is_bibtex() -> None:
    from pybtex.database import parse_string

    library = parse_string(bibtex(read_sources()), "bibtex")
    assert list(library.entries) == list(read_sources())
    assert str(library.entries["annealed-meanshift"].persons["author"][-1]) == "van den Hengel, Anton"
    with pytest.raises(KeyError, match="nobody"):
        find_sources(["nobody"])
