"""What happens to rows: plain functions on Arrow batches, and the PTransforms that wire them."""
