"""Training of the bundled text-to-image prior and scene classifier on rendered scenes."""
