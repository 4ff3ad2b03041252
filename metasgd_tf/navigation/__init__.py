"""2D navigation: walk to a goal that the reward alone tells of (Finn et al. 2017, section 5.3)."""
