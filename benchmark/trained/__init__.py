"""Everything that needs torch and a saved model: checkpoints, recommendations, comparison of checkpoints."""
