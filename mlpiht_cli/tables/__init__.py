"""Users' tables: files become data frames, and a recipe turns their rows into network inputs and back."""
