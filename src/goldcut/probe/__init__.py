"""What the representation Z at each cut looks like, measured in one pass: moments, radii, shares, information, rank."""
