//! Instructions become configurations.
