"""BibTeX entries and which method cites which."""
