"""What is done to Z before it leaves the device, so that less comes back out of it."""
