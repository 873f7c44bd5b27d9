"""Training and packing of the text-to-image priors and the scene classifier that ship with modeseek."""
