"""Looking at models and results: figures, tables and pictures."""
