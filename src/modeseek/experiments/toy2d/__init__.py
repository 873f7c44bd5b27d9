"""The contests where the truth is known: methods against each other, judged and drawn."""
