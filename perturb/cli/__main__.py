"""`python -m perturb.cli`."""

from perturb.cli import main

main(prog_name="perturb")
