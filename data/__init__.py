"""Annotated text: CoNLL files, tag schemes, tokenizing, vocabularies. Neither torch nor ONNX."""
