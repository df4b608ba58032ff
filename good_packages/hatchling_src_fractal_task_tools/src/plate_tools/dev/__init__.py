"""What the manifest is made from."""
