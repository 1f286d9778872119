"""What robust fits are made of: weights of rows, a start that outliers cannot move, the median."""
