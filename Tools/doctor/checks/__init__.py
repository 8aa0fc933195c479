"""The checks of Doctor, one module for each kind; `listing` has all of them."""
