"""What every notebook needs and no lesson is about: exercises, regeneration, headless runs."""
