"""Many trials: a grid of models, images, defences and seeds, carried out by several processes and kept as one table."""
