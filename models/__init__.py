"""Plain Keras networks, which know nothing of meta-learning."""
