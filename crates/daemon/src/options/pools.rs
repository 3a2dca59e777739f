//! Address pools, as the flag and the configuration file write them.

use network::AddressPool;

/// `base=10.0.0.0/8,size=24`.
pub(super) fn parse(text: &str) -> Result<AddressPool, String> {
    let invalid = || format!("invalid default address pool: {text}");
    let (mut base, mut size) = (None, None);
    for part in text.split(',') {
        match part.split_once('=').ok_or_else(invalid)? {
            ("base", value) => base = value.parse::<network::IpNet>().ok(),
            ("size", value) => size = value.parse::<u8>().ok(),
            _ => return Err(invalid()),
        }
    }
    let (base, size) = base.zip(size).ok_or_else(invalid)?;
    if size < base.prefix_len() || size + 2 > base.max_prefix_len() {
        return Err(invalid());
    }
    Ok(AddressPool { base, size })
}
