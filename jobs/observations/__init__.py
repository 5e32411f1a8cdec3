"""The observation tables: expressions that fill them, the store that keeps them."""
