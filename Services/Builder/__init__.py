"""The Builder: makes a record of each finished session from the files its instrument left."""
