"""Run folder: files, checkpoints and status of a run, written so that a crash never corrupts them."""
