"""Methods against each other on things in three dimensions, whose true shape is known."""
