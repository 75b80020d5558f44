"""Lists of terms and of words: matching them in sentences, keeping them in checkpoints."""
