"""Fair comparison of methods on known densities: learning rates tuned, several seeds, equal calls and equal steps."""
