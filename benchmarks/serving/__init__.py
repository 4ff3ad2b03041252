"""Requests to an export: how many a second, and how long each takes."""
