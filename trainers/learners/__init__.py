"""The learners: how a task is learned from its support set."""
