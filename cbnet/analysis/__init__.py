"""Look at models and results: figures, tables and drawn images."""
