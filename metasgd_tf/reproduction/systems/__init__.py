"""The comparison of Meta-SGD with other systems, in the cells of the paper's tables."""
