"""How good pictures are: distances between sets of them, what they say, what they look like; and how sure that is."""
