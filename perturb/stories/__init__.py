"""The walks through the house: each reads like the list of its steps."""
