"""The reproduction on real ACDC patients: what is trained (plans/), judged, drawn and written up."""
