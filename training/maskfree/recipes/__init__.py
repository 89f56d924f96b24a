"""Recipes: what training on a data set takes, one TOML file each."""
