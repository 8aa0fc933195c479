"""What Doctor looks at: one module for each kind of check; `listing` names them all."""
