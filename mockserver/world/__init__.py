"""Everything that exists in one mock: the model, and how it is loaded and changed."""
