"""Corrects the background of images."""
