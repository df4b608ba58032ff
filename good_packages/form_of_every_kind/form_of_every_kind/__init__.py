"""Arguments of every kind that the web client's form can draw."""
