"""DINO fine-tuning without labels (paper section 3.2): formulas, views, training, stage."""
