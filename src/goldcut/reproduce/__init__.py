"""Every table of the paper again, with a verdict on each of its claims."""
