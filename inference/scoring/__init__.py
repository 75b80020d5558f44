"""From tokens to emissions: word vectors, and the network in 8 bits or in ONNX Runtime."""
