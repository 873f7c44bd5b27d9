"""What fixes a run, typed, and the safe text it is kept in."""
