"""What the runs and sweeps of a comparison left in the store, or in memory."""
