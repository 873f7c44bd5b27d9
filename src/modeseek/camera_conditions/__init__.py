"""What a prior is told of the side that a camera sees."""
