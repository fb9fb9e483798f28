"""The YAML of the command line; `benchmark/conf` is a link to it, and in the wheel a copy. Hydra asks for this file."""
