"""Score-distillation methods: one paper, one file."""
