"""Bibliographic records, and the papers behind samplers, metrics and tools."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """Bibliographic record of a paper or book.

    Attributes:
        key: BibTeX key.
        authors: author names in BibTeX form, "Last, First and Last, First".
        title: title of the work.
        year: year of the first version.
        venue: journal, conference or arXiv number.
        url: URL of the abstract; empty if there is none.
    """

    key: str
    authors: str
    title: str
    year: int
    venue: str
    url: str = ""

    @property
    def bibtex(self) -> str:
        """BibTeX entry."""
        link = f",\n  url = {{{self.url}}}" if self.url else ""
        return (
            f"@misc{{{self.key},\n  author = {{{self.authors}}},\n  title = {{{self.title}}},\n"
            f"  year = {{{self.year}}},\n  howpublished = {{{self.venue}}}{link}\n}}"
        )

    @property
    def formatted(self) -> str:
        """Plain-text reference: first authors, title, venue and year."""
        names = [name.split(",")[0] for name in self.authors.split(" and ")]
        authors = (
            names[0] if len(names) == 1 else f"{names[0]} and {names[1]}" if len(names) == 2 else f"{names[0]} et al."
        )
        return f"{authors}: {self.title}. {self.venue}, {self.year}"


def arxiv(key: str, authors: str, title: str, year: int, number: str) -> Source:
    """Returns the record of a paper by its arXiv number."""
    return Source(key, authors, title, year, f"arXiv {number}", f"https://arxiv.org/abs/{number}")


GENERAL_PAPERS: tuple[Source, ...] = (
    arxiv(
        "ddim",
        "Song, Jiaming and Meng, Chenlin and Ermon, Stefano",
        "Denoising Diffusion Implicit Models",
        2020,
        "2010.02502",
    ),
    arxiv(
        "guidance",
        "Ho, Jonathan and Salimans, Tim",
        "Classifier-Free Diffusion Guidance",
        2022,
        "2207.12598",
    ),
    arxiv(
        "edm",
        "Karras, Tero and Aittala, Miika and Aila, Timo and Laine, Samuli",
        "Elucidating the Design Space of Diffusion-Based Generative Models",
        2022,
        "2206.00364",
    ),
    arxiv(
        "autoguidance",
        "Karras, Tero and others",
        "Guiding a Diffusion Model with a Bad Version of Itself",
        2024,
        "2406.02507",
    ),
    arxiv(
        "precision-recall",
        "Kynkaanniemi, Tuomas and Karras, Tero and Laine, Samuli and Lehtinen, Jaakko and Aila, Timo",
        "Improved Precision and Recall Metric for Assessing Generative Models",
        2019,
        "1904.06991",
    ),
    arxiv(
        "meanshift-review",
        "Carreira-Perpinan, Miguel A.",
        "A review of mean-shift algorithms for clustering",
        2015,
        "1503.00687",
    ),
    Source(
        "meanshift",
        "Fukunaga, Keinosuke and Hostetler, Larry",
        "The estimation of the gradient of a density function, with applications in pattern recognition",
        1975,
        "IEEE Transactions on Information Theory 21(1)",
    ),
    Source(
        "annealed-meanshift",
        "Shen, Chunhua and Brooks, Michael J. and van den Hengel, Anton",
        "Fast global kernel density mode seeking: applications to localization and tracking",
        2007,
        "IEEE Transactions on Image Processing 16(5)",
    ),
    Source(
        "mmd",
        "Gretton, Arthur and Borgwardt, Karsten M. and Rasch, Malte J. and Schoelkopf, Bernhard and Smola, Alexander",
        "A Kernel Two-Sample Test",
        2012,
        "Journal of Machine Learning Research 13",
    ),
    arxiv(
        "fid",
        "Heusel, Martin and Ramsauer, Hubert and Unterthiner, Thomas and Nessler, Bernhard and Hochreiter, Sepp",
        "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium",
        2017,
        "1706.08500",
    ),
    arxiv(
        "kid",
        "Binkowski, Mikolaj and Sutherland, Danica J. and Arbel, Michael and Gretton, Arthur",
        "Demystifying MMD GANs",
        2018,
        "1801.01401",
    ),
    arxiv(
        "clip",
        "Radford, Alec and others",
        "Learning Transferable Visual Models From Natural Language Supervision",
        2021,
        "2103.00020",
    ),
    arxiv(
        "fourier-features",
        "Tancik, Matthew and others",
        "Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains",
        2020,
        "2006.10739",
    ),
    Source(
        "digits",
        "Alpaydin, Ethem and Kaynak, Cenk",
        "Optical Recognition of Handwritten Digits",
        1998,
        "UCI Machine Learning Repository",
    ),
)
