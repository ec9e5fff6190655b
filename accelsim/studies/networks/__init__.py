"""Networks from their definitions, without a model framework: shapes as float traces."""
