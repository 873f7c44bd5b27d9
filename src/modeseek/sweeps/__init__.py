"""Many runs as one: prompts or settings x methods x seeds, on one machine or on a Ray cluster."""
