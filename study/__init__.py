"""The reproduction on real ACDC patients: what is trained (plan.yaml), run as a queue, judged, drawn and written up."""
