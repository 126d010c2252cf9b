"""The evidence that judges zone rules: networks trained here, scanned and attacked, and every rule scored on them."""
