"""Z as bytes: what is attacked, exported and served is the same code. Needs no torch."""
