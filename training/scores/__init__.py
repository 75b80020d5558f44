"""How good a model is: entity scores, significance, calibration, comparison."""
