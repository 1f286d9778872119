"""Runs side by side: which, what each left, and the page, the figure and the table of them."""
