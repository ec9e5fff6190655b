"""The machine's products, worked out from the packed streams by plain indexing: shares no code with the decoding that it checks."""

from accelsim.functional_twin.products import diagonal, factors, patches, product, scaled_product, weights

__all__ = ["diagonal", "factors", "patches", "product", "scaled_product", "weights"]
