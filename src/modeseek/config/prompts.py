"""Prompts as typed, read from files or copied from tables."""

from __future__ import annotations

_NAME_LENGTH = 40


def clean_prompt(text: str) -> str:
    """Returns a prompt with spaces for line breaks and tabs, as text encoders read them; other text is unchanged."""
    lines = [part for line in text.splitlines() for part in line.split("\t")]
    return text if len(lines) < 2 and text == "".join(lines) else " ".join(part for part in lines if part.strip())


def name_of(prompt: str) -> str:
    """Returns the name of a run with this prompt: its first 40 characters that can be printed, on one line."""
    printed = "".join(character if character.isprintable() else " " for character in prompt)
    return " ".join(printed.split())[:_NAME_LENGTH]
