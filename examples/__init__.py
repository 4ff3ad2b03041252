"""Clients of TF Serving with an export of this project; they need nothing else of it."""
