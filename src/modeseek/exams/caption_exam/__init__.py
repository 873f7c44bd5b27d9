"""Caption exam: how often a text-to-image prior draws what held-out captions say."""
