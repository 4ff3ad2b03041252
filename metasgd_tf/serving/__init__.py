"""A trained learner as a service: a SavedModel that adapts and answers within one request."""
