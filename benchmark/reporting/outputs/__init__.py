"""A document drawn: HTML, Markdown, LaTeX, terminal."""
