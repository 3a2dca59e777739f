//! Random names that people can say.
