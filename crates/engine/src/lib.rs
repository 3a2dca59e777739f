//! Every operation on containers and images.
