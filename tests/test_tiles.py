"""`perturb tiles`: its plan for a planted network, confirmed by what the tiled network finds."""
