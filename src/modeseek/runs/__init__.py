"""Experiments as Python generators, and the files they leave: the only room that writes files."""
