"""The packaging lines that a lost manifest needs."""
