"""Plain Keras networks, independent of meta-learning."""
