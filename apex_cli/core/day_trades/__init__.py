"""US day-trading rules: counts, regimes, margin, settlement, and the verdict on one order."""
