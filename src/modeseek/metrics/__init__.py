"""Image and sample metrics: distances between sets, CLIP similarity, statistics, bootstrap intervals."""
