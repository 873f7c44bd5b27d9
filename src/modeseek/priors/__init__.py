"""Priors: exact mixtures, empirical data sets, small learned networks."""
