"""Fixes as data: what is to be changed in the candidate's files, and how it is applied."""
