"""Support for the notebooks: exercises, regeneration, headless runs and their index page."""
