//! The values that templates work on: JSON with its order kept, told apart into Go's structs and maps.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess, Visitor};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// What a missing key of a map gives.
    Missing,
    /// Go's nil pointer or interface.
    Nil,
    /// Go's nil slice.
    NilList,
    /// Go's nil map.
    NilMap,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Object(Object),
}

/// A map or a struct.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) fields: Vec<(Cow<'static, str>, Value)>,
}

/// What an object does when it has no such field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A map: the value is missing.
    Map,
    /// An object of an inspect answer: an error, in the words of a strict map.
    Record,
    /// A Go struct of that type: an error.
    Struct(&'static str),
    /// The same, but not one of docker's contexts: JSON has the fields in their own order.
    Plain(&'static str),
}

/// Fields whose objects are maps in Go's types.
const MAPS: [&str; 23] = [
    "Annotations",
    "Attributes",
    "Containers",
    "Data",
    "Details",
    "DriverOpts",
    "EndpointsConfig",
    "ExposedPorts",
    "IndexConfigs",
    "Labels",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "Runtimes",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Volumes",
    "AuxiliaryAddresses",
    "Config.Config",
    "LogConfig.Config",
    "status",
];

/// Fields that are pointers to plain values or structs in Go's types: `null` prints as `<nil>`.
const POINTERS: [&str; 11] = [
    "Health",
    "Healthcheck",
    "IPAMConfig",
    "Init",
    "MemorySwappiness",
    "OomKillDisable",
    "PidsLimit",
    "StopTimeout",
    "SizeRw",
    "SizeRootFs",
    "ImageManifestDescriptor",
];

/// Fields that JSON leaves out when they are empty.
static OMITTED: [(&str, Value); 17] = [
    ("Annotations", Value::NilMap),
    ("ArgsEscaped", Value::Bool(false)),
    ("ExposedPorts", Value::NilMap),
    ("Health", Value::Nil),
    ("Healthcheck", Value::Nil),
    ("Init", Value::Nil),
    ("MacAddress", Value::Text(String::new())),
    ("NetworkDisabled", Value::Bool(false)),
    ("Shell", Value::NilList),
    ("SizeRootFs", Value::Nil),
    ("SizeRw", Value::Nil),
    ("StopSignal", Value::Text(String::new())),
    ("StopTimeout", Value::Nil),
    ("StorageOpt", Value::NilMap),
    ("Sysctls", Value::NilMap),
    ("Tmpfs", Value::NilMap),
    ("Variant", Value::Text(String::new())),
];

impl Value {
    /// Decodes JSON, keeping the order of keys.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        let mut value = serde_json::from_slice(json)?;
        classify(&mut value, "", "");
        Ok(value)
    }

    /// A struct of a type of docker's command line.
    pub(crate) fn structure(type_name: &'static str, fields: Vec<(&'static str, String)>) -> Self {
        let fields = fields
            .into_iter()
            .map(|(name, value)| (name.into(), Self::Text(value)))
            .collect();
        Self::Object(Object {
            kind: Kind::Struct(type_name),
            fields,
        })
    }

    /// A struct that holds lists.
    pub(crate) fn lists(type_name: &'static str, fields: Vec<(&'static str, Vec<Self>)>) -> Self {
        let fields = fields
            .into_iter()
            .map(|(name, list)| (name.into(), Self::List(list)))
            .collect();
        Self::Object(Object {
            kind: Kind::Plain(type_name),
            fields,
        })
    }

    /// Adds a field that is Go's nil.
    pub(crate) fn with_nil(mut self, name: &'static str) -> Self {
        if let Self::Object(object) = &mut self {
            object.fields.push((name.into(), Self::Nil));
        }
        self
    }

    /// Adds a field that is a map of texts.
    pub(crate) fn with_map(
        mut self,
        name: &'static str,
        entries: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        if let Self::Object(object) = &mut self {
            let fields = entries
                .into_iter()
                .map(|(key, value)| (key.into(), Self::Text(value)))
                .collect();
            object.fields.push((
                name.into(),
                Self::Object(Object {
                    kind: Kind::Map,
                    fields,
                }),
            ));
        }
        self
    }

    /// A field of an object. Go's name of a field may differ from JSON's in case (`ID`, `Id`), and Go has the fields that
    /// JSON leaves out when they are empty.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        let Self::Object(object) = self else {
            return None;
        };
        let named = |same: &dyn Fn(&str) -> bool| {
            object
                .fields
                .iter()
                .find(|(key, _)| same(key))
                .map(|(_, value)| value)
        };
        let exact = named(&|key| key == name);
        if exact.is_some() || object.kind != Kind::Record {
            return exact;
        }
        let folded = named(&|key| key.eq_ignore_ascii_case(name));
        folded.or_else(|| {
            OMITTED
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        })
    }

    /// Go's truth: not the zero value of its type.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Missing | Self::Nil | Self::NilList | Self::NilMap => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Object(object) => object.kind != Kind::Map || !object.fields.is_empty(),
        }
    }

    /// As Go's `%v` prints it inside of something else.
    pub(crate) fn show(&self) -> String {
        match self {
            Self::Missing | Self::Nil => "<nil>".to_owned(),
            Self::NilList => "[]".to_owned(),
            Self::NilMap => "map[]".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => show_float(*value),
            Self::Text(text) => text.clone(),
            Self::List(list) => format!(
                "[{}]",
                list.iter().map(Self::show).collect::<Vec<_>>().join(" ")
            ),
            Self::Object(object) => object.show(),
        }
    }

    /// Compact JSON, as docker's `json` function writes it.
    pub(crate) fn json(&self) -> String {
        match self {
            Self::Missing | Self::Nil | Self::NilList | Self::NilMap => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => serde_json::Value::from(*value).to_string(),
            Self::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            Self::List(list) => format!(
                "[{}]",
                list.iter().map(Self::json).collect::<Vec<_>>().join(",")
            ),
            Self::Object(object) => {
                let mut fields: Vec<_> = object.fields.iter().collect();
                // Docker's contexts are written as maps of their methods without arguments.
                if matches!(object.kind, Kind::Struct(_)) {
                    fields.retain(|(key, _)| key != "Label");
                    fields.sort_by(|a, b| a.0.cmp(&b.0));
                }
                let fields = fields.into_iter().map(|(key, value)| {
                    format!("{}:{}", serde_json::Value::from(&**key), value.json())
                });
                let text = format!("{{{}}}", fields.collect::<Vec<_>>().join(","));
                if matches!(object.kind, Kind::Struct(_)) {
                    return text
                        .replace('<', "\\u003c")
                        .replace('>', "\\u003e")
                        .replace('&', "\\u0026");
                }
                text
            }
        }
    }
}

impl Object {
    fn show(&self) -> String {
        if self.kind == Kind::Map {
            let mut entries: Vec<_> = self.fields.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            let entries = entries
                .iter()
                .map(|(key, value)| format!("{key}:{}", value.show()));
            return format!("map[{}]", entries.collect::<Vec<_>>().join(" "));
        }
        format!(
            "{{{}}}",
            self.fields
                .iter()
                .map(|(_, value)| value.show())
                .collect::<Vec<_>>()
                .join(" ")
        )
    }
}

/// Go's `%v` of a float64: `%g` with the shortest digits, an exponent from 1e21 on.
fn show_float(value: f64) -> String {
    if value != 0.0 && !(1e-4..1e21).contains(&value.abs()) {
        let text = format!("{value:e}");
        let Some((mantissa, exponent)) = text.split_once('e') else {
            return text;
        };
        let (sign, digits) = exponent
            .strip_prefix('-')
            .map_or(('+', exponent), |digits| ('-', digits));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    format!("{value}")
}

/// Says of each object whether it is a map, and gives nulls the type that their field has in Go.
fn classify(value: &mut Value, name: &str, parent: &str) {
    match value {
        Value::List(list) => list.iter_mut().for_each(|item| classify(item, "", name)),
        Value::Object(object) => {
            if is_map(name, parent) {
                object.kind = Kind::Map;
            }
            for (key, field) in &mut object.fields {
                if *field == Value::Nil {
                    *field = typed_nil(key, name);
                } else {
                    classify(field, key, name);
                }
            }
        }
        _ => {}
    }
}

fn is_map(name: &str, parent: &str) -> bool {
    MAPS.contains(&name) || MAPS.contains(&format!("{parent}.{name}").as_str())
}

fn typed_nil(name: &str, parent: &str) -> Value {
    if is_map(name, parent) {
        Value::NilMap
    } else if POINTERS.contains(&name) {
        Value::Nil
    } else {
        Value::NilList
    }
}

impl<'de> serde::Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Build)
    }
}

struct Build;

impl<'de> Visitor<'de> for Build {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = sequence.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = map.next_entry()? {
            fields.push(entry);
        }
        Ok(Value::Object(Object {
            kind: Kind::Record,
            fields,
        }))
    }
}
