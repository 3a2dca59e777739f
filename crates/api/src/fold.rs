//! JSON as Go's decoder reads it: the names of struct fields match in any case, `null` leaves the zero value, unknown
//! names are ignored, and the last of several spellings wins.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Map, Value};

use crate::container::CreateRequest;
use crate::host_config::HostConfig;
use crate::network::NetworkingConfig;

/// Decodes a request body.
pub fn from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    T::deserialize(Folded(serde_json::from_slice(body)?))
}

/// Decodes a value that is already parsed.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    T::deserialize(Folded(value))
}

/// Decodes the body of `POST /containers/create`: the container's `Config` and, beside its fields, two more objects.
pub fn create_request(body: &[u8]) -> Result<CreateRequest, Error> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Beside {
        host_config: Option<HostConfig>,
        networking_config: Option<NetworkingConfig>,
    }
    let (beside, config) = match serde_json::from_slice(body)? {
        Value::Object(map) => {
            let names = ["HostConfig", "NetworkingConfig"];
            let is_beside = |key: &str| names.iter().any(|name| name.eq_ignore_ascii_case(key));
            let (beside, config): (Map<_, _>, Map<_, _>) =
                map.into_iter().partition(|(key, _)| is_beside(key));
            (beside.into(), config.into())
        }
        other => (Value::Null, other),
    };
    let beside: Beside = from_value(beside)?;
    Ok(CreateRequest {
        config: from_value(config)?,
        host_config: beside.host_config,
        networking_config: beside.networking_config,
    })
}

/// A value that is deserialized by Go's rules.
struct Folded(Value);

impl IntoDeserializer<'_, Error> for Folded {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Folded {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Object(map) => visitor.visit_map(MapDeserializer::new(
                map.into_iter().map(|(k, v)| (k, Self(v))),
            )),
            Value::Array(list) => {
                visitor.visit_seq(SeqDeserializer::new(list.into_iter().map(Self)))
            }
            plain => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Object(map) => {
                let map = fold(map, fields);
                visitor.visit_map(MapDeserializer::new(
                    map.into_iter().map(|(k, v)| (k, Self(v))),
                ))
            }
            Value::Null => {
                visitor.visit_map(MapDeserializer::new(std::iter::empty::<(String, Self)>()))
            }
            other => Err(Error::custom(format!(
                "cannot decode {} into an object",
                kind(&other)
            ))),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_string(String::new()),
            other => other.deserialize_string(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// Renames keys to the fields' own spelling and drops nulls and unknown keys.
fn fold(map: Map<String, Value>, fields: &'static [&'static str]) -> Map<String, Value> {
    let mut folded = Map::new();
    for (key, value) in map {
        let field = fields
            .iter()
            .find(|f| **f == key)
            .or_else(|| fields.iter().find(|f| f.eq_ignore_ascii_case(&key)));
        match field {
            Some(field) if !value.is_null() => {
                folded.insert((*field).to_owned(), value);
            }
            _ => {}
        }
    }
    folded
}

/// The word for a JSON value of that type.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests;
