"""``growth check``: is the project fit to go live? Nothing of the user's stack, warehouse or home is touched."""
