"""From records to verdicts: methods named and grouped, values, comparisons, answers. Imports no torch."""
