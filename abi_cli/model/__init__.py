"""The generative model: a person's functions, seeds, and simulating in many processes."""
