"""The whole path in one place: from a model and images to records in a run folder."""
