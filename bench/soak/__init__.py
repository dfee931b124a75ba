"""Load with random kills: many clients at once, and the service killed and started again under them."""
