"""The outputs of a document: HTML, Markdown, LaTeX, terminal."""
