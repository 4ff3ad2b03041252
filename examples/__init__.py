"""Clients of an export in TF Serving, which do not need this project, and tasks of your own."""
