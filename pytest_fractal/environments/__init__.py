"""Virtual environments and what goes into them: interpreters, installers, builds, wheels."""
