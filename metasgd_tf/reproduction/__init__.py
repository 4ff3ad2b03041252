"""The tables of Li et al. 2017, trained and evaluated anew, with the paper's cells beside ours."""
