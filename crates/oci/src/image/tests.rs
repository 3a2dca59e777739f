//! Documents as they are found in the wild, and hostile ones.

use super::*;

const DIGEST: &str = "sha256:8c811b4aec35f259572d0f79207bc0678df4c736eeec50bc9fec37ed936a472a";

#[test]
fn a_configuration_with_nulls_is_read() {
    let text = format!(
        r#"{{"architecture":"amd64","os":"linux","created":"2024-01-02T03:04:05Z","author":null,"unknown":1,
        "config":{{"Env":null,"Cmd":["sh"],"Entrypoint":null,"Volumes":{{"/data":{{}}}},"Labels":null,"Shell":"sh",
        "Healthcheck":{{"Test":["CMD-SHELL","true"],"Interval":1000}}}},
        "rootfs":{{"type":"layers","diff_ids":["{DIGEST}"]}},"history":null}}"#
    );
    let config = ImageConfig::parse(text.as_bytes()).unwrap();
    assert_eq!(config.config.cmd, Some(vec!["sh".to_owned()]));
    assert_eq!(config.config.shell, Some(vec!["sh".to_owned()]));
    assert_eq!(config.config.entrypoint, None);
    assert!(config.config.volumes.contains_key("/data"));
    assert_eq!(config.config.healthcheck.as_ref().unwrap().interval, 1000);
    assert_eq!(config.rootfs.diff_ids.len(), 1);
    assert_eq!(ImageConfig::parse(&config.encode()).unwrap(), config);
}

#[test]
fn a_missing_configuration_is_empty_and_a_bad_one_is_refused() {
    assert_eq!(
        ImageConfig::parse(br#"{"config":null}"#).unwrap(),
        ImageConfig::default()
    );
    for text in [
        "",
        "[]",
        "null",
        r#"{"rootfs":{"diff_ids":["../../x"]}}"#,
        r#"{"rootfs":{"type":"windows"}}"#,
        r#"{"config":{"Env":"x"}}"#,
    ] {
        assert!(ImageConfig::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn a_document_is_an_index_or_an_image_never_both() {
    let descriptor = format!(r#"{{"mediaType":"x","digest":"{DIGEST}","size":1}}"#);
    let check = |text: String| Document::parse(text.as_bytes());
    let image = format!(r#"{{"schemaVersion":2,"config":{descriptor},"layers":[{descriptor}]}}"#);
    assert!(matches!(check(image), Ok(Document::Manifest(_))));
    assert!(matches!(
        check(format!(
            r#"{{"schemaVersion":2,"manifests":[{descriptor}]}}"#
        )),
        Ok(Document::Index(_))
    ));
    for text in [
        format!(r#"{{"schemaVersion":2,"config":{descriptor},"layers":[],"manifests":[]}}"#),
        r#"{"schemaVersion":2}"#.to_owned(),
        r#"{"schemaVersion":1,"manifests":[]}"#.to_owned(),
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}"#.to_owned(),
        format!(r#"{{"schemaVersion":2,"mediaType":"a/image.index","config":{descriptor},"layers":[]}}"#),
        format!(r#"{{"schemaVersion":2,"layers":null,"config":{{"digest":"{DIGEST}","size":-1}}}}"#),
        r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:x","size":1}]}"#.to_owned(),
    ] {
        assert!(check(text.clone()).is_err(), "{text}");
    }
}
