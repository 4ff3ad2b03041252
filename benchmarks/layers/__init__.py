"""Every public layer of Keras in a small network: what meta-training makes of it."""
