"""The page on which exports can be tried: what `python -m metasgd_tf.demo` serves."""
