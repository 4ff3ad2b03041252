"""Images for few-shot classification: reading, decoding, class splits and drawing of episodes."""
