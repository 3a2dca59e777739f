//! caps.
