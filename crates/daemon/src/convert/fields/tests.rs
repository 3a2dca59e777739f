//! Walks every field of the create request: each is acted on, shown, or refused by its name.

use api::config::Config;
use api::container::CreateRequest;
use api::host_config::HostConfig;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Value, json};

use super::{CONFIG, HOST_CONFIG, Rule, check};

/// Tells the names of a type's fields, as serde knows them.
struct FieldNames<'a>(&'a mut Vec<&'static str>);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.extend(fields);
        Err(serde::de::Error::custom("the names are all that is wanted"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn names<'de, T: Deserialize<'de>>() -> Vec<&'static str> {
    let mut names = Vec::new();
    assert!(T::deserialize(FieldNames(&mut names)).is_err());
    names
}

fn request(prefix: &str, name: &str, value: &Value) -> Option<CreateRequest> {
    let body = match prefix {
        "" => json!({ name: value }),
        _ => json!({ "HostConfig": { name: value } }),
    };
    api::fold::create_request(body.to_string().as_bytes()).ok()
}

/// A request in which that field alone is set: the first of these values that its type takes.
fn with_field(prefix: &str, name: &str) -> CreateRequest {
    let values = [
        json!("x"),
        json!(true),
        json!(7),
        json!({ "80/tcp": {} }),
        json!({ "80/tcp": [{ "HostPort": "1" }] }),
        json!({ "Test": ["CMD", "x"] }),
        json!({ "Type": "x" }),
        json!({ "Name": "x" }),
        json!({ "a": "b" }),
        json!(["x"]),
        json!([{ "Path": "x" }]),
        json!([{ "PathOnHost": "x" }]),
        json!([{ "Name": "x" }]),
        json!([{ "Driver": "x" }]),
        json!([{ "Type": "x" }]),
        json!([7, 7]),
    ];
    let set = |wanted: &Option<CreateRequest>| {
        wanted.as_ref().is_some_and(|request| {
            let fields = match prefix {
                "" => serde_json::to_value(&request.config).unwrap(),
                _ => serde_json::to_value(&request.host_config).unwrap(),
            };
            fields
                .get(name)
                .is_some_and(|value| !super::is_empty(value))
        })
    };
    let found = values
        .iter()
        .map(|value| request(prefix, name, value))
        .find(set)
        .flatten();
    found.unwrap_or_else(|| panic!("no value for {prefix}{name}"))
}

#[test]
fn every_field_is_in_the_table_and_those_not_built_are_refused_by_name() {
    for (prefix, table, fields) in [
        ("", CONFIG, names::<Config>()),
        ("HostConfig.", HOST_CONFIG, names::<HostConfig>()),
    ] {
        assert_eq!(
            table.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            fields
        );
        for (name, rule) in table {
            let request = with_field(prefix, name);
            let outcome = check(&serde_json::to_value(request).unwrap());
            match rule {
                Rule::Refused(_) => {
                    let error = outcome.unwrap_err();
                    assert_eq!(error.status(), 501);
                    assert_eq!(
                        error.to_string(),
                        format!("{prefix}{name} is not implemented")
                    );
                }
                Rule::Acted | Rule::Shown => outcome.unwrap(),
            }
        }
    }
}

#[test]
fn what_means_nothing_is_no_reason_to_refuse() {
    let body = json!({
        "Volumes": {}, "NetworkDisabled": false, "MacAddress": "",
        "HostConfig": { "Links": [], "VolumeDriver": "local", "UsernsMode": "host", "PortBindings": {}, "BlkioWeight": 0 },
        "NetworkingConfig": { "EndpointsConfig": { "default": { "Aliases": null, "GwPriority": 0, "IPAMConfig": {} } } }
    });
    let request = api::fold::create_request(body.to_string().as_bytes()).unwrap();
    check(&serde_json::to_value(request).unwrap()).unwrap();
}
