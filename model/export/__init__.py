"""A trained network as ONNX graphs and as 8-bit arrays, for the runtime without torch."""
