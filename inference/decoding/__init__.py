"""From emissions to tags: batches, windows, Viterbi, the n best, and names."""
