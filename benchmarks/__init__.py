"""What waiting, parsing and creating cost, beside others: ``make bench``. Nothing here asserts a time."""
