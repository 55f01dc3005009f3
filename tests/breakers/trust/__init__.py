"""What must never hurt the service: one file for each kind of fault."""
