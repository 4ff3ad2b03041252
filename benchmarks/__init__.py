"""Measures one meta-iteration of Meta-SGD in this project beside other implementations."""
