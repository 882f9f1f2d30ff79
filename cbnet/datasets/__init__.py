"""The generated quickstart data set."""
