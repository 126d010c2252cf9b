"""What is measured on a quiet machine: speed and memory, as ratios in one run. `make bench` runs all of it."""
