"""From a chosen cut to two halves at work: export, verify, serve, and the client on the device."""
