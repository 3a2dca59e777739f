//! Users and groups looked up in an image's own files.

use super::*;

fn accounts() -> Accounts {
    Accounts {
        passwd: "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken\nwww:x:33:33::/var/www:/bin/false\n1000:x:77:77::/odd:/bin/sh\n".into(),
        group: "root:x:0:\nwww:x:33:\naudio:x:29:www,pulse\nvideo:x:44:www\nnomembers:x:50\n".into(),
    }
}

fn ids(
    user: &str,
    additional: &[&str],
) -> std::result::Result<(u32, u32, Vec<u32>, String), String> {
    let additional: Vec<String> = additional.iter().map(|word| (*word).to_owned()).collect();
    let found = accounts()
        .identify(user, &additional)
        .map_err(|error| error.to_string())?;
    Ok((found.uid, found.gid, found.groups, found.home))
}

#[test]
fn nobody_named_is_root_with_roots_home() {
    assert_eq!(ids("", &[]), Ok((0, 0, vec![0], "/root".into())));
}

#[test]
fn a_name_brings_its_groups_the_primary_one_first() {
    assert_eq!(
        ids("www", &[]),
        Ok((33, 33, vec![33, 29, 44], "/var/www".into()))
    );
    assert_eq!(
        ids("33", &[]),
        Ok((33, 33, vec![33, 29, 44], "/var/www".into()))
    );
}

#[test]
fn an_explicit_group_replaces_the_others_and_additional_ones_are_added() {
    assert_eq!(
        ids("www:video", &[]),
        Ok((33, 44, vec![44], "/var/www".into()))
    );
    assert_eq!(
        ids("www:7", &["audio", "900"]),
        Ok((33, 7, vec![7, 29, 900], "/var/www".into()))
    );
}

#[test]
fn a_number_wins_over_a_name_and_need_not_exist() {
    assert_eq!(ids("1000", &[]), Ok((1000, 0, vec![0], "/".into())));
}

#[test]
fn what_is_not_found_is_named() {
    assert_eq!(
        ids("nope", &[]),
        Err("unable to find user nope: no matching entries in passwd file".into())
    );
    assert_eq!(
        ids("www:nope", &[]),
        Err("unable to find group nope: no matching entries in group file".into())
    );
    assert_eq!(
        ids("", &["nope"]),
        Err("unable to find group nope: no matching entries in group file".into())
    );
}

#[test]
fn ids_out_of_range_are_refused() {
    for user in ["-1", "4294967295", "2147483648", "0:-5", "99999999999"] {
        assert_eq!(
            ids(user, &[]),
            Err("uids and gids must be in range 0-2147483647".into()),
            "{user}"
        );
    }
}
