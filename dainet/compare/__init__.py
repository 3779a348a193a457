"""Comparisons of networks that count patients, trainings and folds: registered first, judged by one rule."""
