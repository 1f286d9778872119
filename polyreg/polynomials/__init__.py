"""What a polynomial is: terms, basis families, design, result, module, predictor."""
