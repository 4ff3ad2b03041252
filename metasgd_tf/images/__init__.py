"""Images for few-shot classification: read, decoded, split into classes and drawn as episodes."""
