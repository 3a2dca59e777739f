//! Networks, endpoints, addresses, firewall rules.
