"""Quality against calls: how good the image of each method is after a number of prior calls."""
