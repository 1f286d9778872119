"""What runs leave to be read: metrics, figures, tables, pages."""
