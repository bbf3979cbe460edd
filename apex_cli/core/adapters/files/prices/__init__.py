"""Files of prices."""
