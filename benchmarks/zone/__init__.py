"""The evidence that judges zone rules: eight networks trained here, scanned, attacked, and every rule scored on them."""
