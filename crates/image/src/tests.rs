//! Archives become images.
