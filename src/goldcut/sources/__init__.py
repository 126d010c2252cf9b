"""What comes in from outside: a model with its input size and normalisation, and labelled images in [0, 1]."""
