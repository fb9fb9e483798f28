"""Settings: from a command line or a notebook to a checked configuration, and the help on what can be set."""
