"""The experiments of the mean-shift distillation paper, each as one command."""
