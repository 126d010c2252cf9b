"""What a cut costs: parameters and FLOPs of each half, bytes and time on a link, time and memory on this machine."""
