//! Trees live and die.
