"""The generated data set of the quickstart: overlapping shapes."""
