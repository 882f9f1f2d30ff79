"""Read, compare, load, average and write files of weights."""
