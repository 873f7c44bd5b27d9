"""Text-to-image experiment of the mean-shift distillation paper."""
