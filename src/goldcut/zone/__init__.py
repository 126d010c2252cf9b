"""Where the Golden Partition Zone is: by the paper's rule, by statistics alone, and as an attack finds it."""
