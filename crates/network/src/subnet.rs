//! Which subnet a bridge gets when the user named none.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// Docker's default address pools: 172.17/16 to 172.31/16, then sixteen /20 of 192.168/16.
fn candidates() -> impl Iterator<Item = Ipv4Net> {
    let large = (17..=31).map(|second| (Ipv4Addr::new(172, second, 0, 0), 16));
    let small = (0..16).map(|part| (Ipv4Addr::new(192, 168, part * 16, 0), 20));
    large
        .chain(small)
        .filter_map(|(address, prefix)| Ipv4Net::new(address, prefix).ok())
}

/// The first default subnet that overlaps none of the host's.
pub(crate) fn choose(taken: &[Ipv4Net]) -> Option<Ipv4Net> {
    candidates().find(|candidate| !taken.iter().any(|other| overlap(*candidate, *other)))
}

pub(crate) fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(taken: &[&str], expect: Option<&str>) {
        let taken: Vec<Ipv4Net> = taken.iter().map(|net| net.parse().unwrap()).collect();
        assert_eq!(choose(&taken).map(|net| net.to_string()).as_deref(), expect);
    }

    #[test]
    fn the_first_free_pool_is_chosen() {
        check(&[], Some("172.17.0.0/16"));
        check(&["10.0.0.0/8"], Some("172.17.0.0/16"));
        check(&["172.17.4.0/24"], Some("172.18.0.0/16"));
        check(&["172.16.0.0/12"], Some("192.168.0.0/20"));
        check(
            &["172.16.0.0/12", "192.168.1.0/24"],
            Some("192.168.16.0/20"),
        );
        check(&["172.16.0.0/12", "192.168.0.0/16"], None);
    }
}
