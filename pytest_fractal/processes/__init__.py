"""Processes of the candidate: how they are started, limited, watched and ended."""
