"""Tasks that are tested as Fractal runs them."""
