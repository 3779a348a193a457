"""How runs begin: what is refused beforehand, one stage by name, and what each of several processes does."""
