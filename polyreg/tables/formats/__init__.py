"""Formats of files: what each holds, as Arrow record batches."""
