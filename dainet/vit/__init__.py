"""The vision transformer and every form in which its weights come."""
