"""One training: rows, step, gradients, selection, prediction."""
