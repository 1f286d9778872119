"""Polynomials: terms, basis families, design, result, module, predictor."""
