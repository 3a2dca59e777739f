//! Archives as builders write them, and as attackers do.
