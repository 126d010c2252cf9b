"""The label distribution as a lever: what a model is taught, by which loss, and what its representation does."""
