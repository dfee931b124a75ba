"""Measures the service beside its limit (bare Starlette) and a peer (moto), in one run on one machine."""
