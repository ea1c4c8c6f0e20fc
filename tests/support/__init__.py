"""What the suite needs that is no test itself."""
