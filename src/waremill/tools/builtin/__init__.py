"""Tools that every workspace has; what they look into is handed to them. One file each."""
