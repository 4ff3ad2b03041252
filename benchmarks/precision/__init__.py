"""Half precision beside float32: speed and memory."""
