//! What both sides of the protocol say.
