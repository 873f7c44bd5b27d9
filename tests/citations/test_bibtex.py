"""The bibliography: complete records, short references, and BibTeX that reads back as it was."""

from __future__ import annotations

import re

import pytest

from modeseek.citations.bibtex import bibtex, find_sources, read_sources


def test_every_record_is_complete() -> None:
    for key, source in read_sources().items():
        assert source.key == key and source.authors and source.title and source.venue and 1950 < source.year < 2030
        assert (source.venue == f"arXiv {source.arxiv}") is (source.kind == "misc" and key != "digits")
        assert source.url == (f"https://arxiv.org/abs/{source.arxiv}" if source.arxiv else "")
        assert not source.arxiv or re.fullmatch(r"\d{4}\.\d{4,5}", source.arxiv)
        assert "others" not in source.authors and all(", " in author for author in source.authors)


def test_a_venue_has_the_year_of_its_publication() -> None:
    sources = read_sources()
    for key, kind, venue, year in (
        ("sds", "inproceedings", "International Conference on Learning Representations (ICLR)", 2023),
        ("meanshift", "article", "IEEE Transactions on Information Theory", 1975),
        ("pfd", "misc", "arXiv 2605.09071", 2026),
        ("digits", "misc", "UCI Machine Learning Repository", 1998),
    ):
        assert (sources[key].kind, sources[key].venue, sources[key].year) == (kind, venue, year)
    for source in sources.values():  # a first version is not later than its publication
        assert not source.arxiv or 2000 + int(source.arxiv[:2]) <= source.year or source.key == "guidance"
    assert sources["mvdream"].authors[3] == "Mai, Long"


def test_references_name_up_to_two_authors() -> None:
    dds, guidance, sdi = find_sources(["dds", "guidance", "sdi"])
    assert dds.formatted == (
        "Hertz et al.: Delta Denoising Score. IEEE/CVF International Conference on Computer Vision (ICCV), 2023. "
        "arXiv 2304.07090"
    )
    assert guidance.formatted.startswith("Ho and Salimans: ")
    assert len(sdi.authors) == 7 and sdi.formatted.startswith("Lukoianov et al.: ")
    (msd,) = find_sources(["msd"])
    assert msd.formatted.endswith(". arXiv 2502.15989, 2025")


def test_what_is_cited_is_bibtex() -> None:
    from pybtex.database import parse_string

    library = parse_string(bibtex(read_sources()), "bibtex")
    assert list(library.entries) == list(read_sources())
    for key, source in read_sources().items():
        entry = library.entries[key]
        assert entry.type == source.kind and dict(entry.fields) == source.fields
        assert tuple(map(str, entry.persons["author"])) == source.authors
    assert "  booktitle = {" in bibtex(["sdi"]) and "  howpublished = {" in bibtex(["digits"])
    assert str(library.entries["annealed-meanshift"].persons["author"][-1]) == "van den Hengel, Anton"
    with pytest.raises(KeyError, match="nobody"):
        find_sources(["nobody"])
