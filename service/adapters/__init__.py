"""Other services' APIs over our models: each maps its own shape to a query, and answers back."""
