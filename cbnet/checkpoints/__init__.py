"""Files of weights: reading, writing, averaging, and strict loading."""
