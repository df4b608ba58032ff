"""The arguments on which tasks are run: the author's and generated ones."""
