"""Settings: from a command line or a notebook to a checked configuration, and the words that say what can be set."""
