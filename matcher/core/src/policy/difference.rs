//! What differs between two policies, field by field: what an operator reads before applying one.

use std::collections::BTreeMap;

use toml::Value;

use super::PolicyError;

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Path of the field.
    pub field: String,
    /// What it was; nothing when it is new.
    pub before: Option<String>,
    /// What it is; nothing when it is gone.
    pub after: Option<String>,
}

/// Fields that differ, by path. Comments and order do not count.
///
/// # Errors
/// When one of the texts is no TOML.
pub fn difference(before: &str, after: &str) -> Result<Vec<Change>, PolicyError> {
    let (before, after) = (fields(before)?, fields(after)?);
    let paths: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |path: &String| {
        let (was, is) = (before.get(path).cloned(), after.get(path).cloned());
        (was != is).then(|| Change { field: path.clone(), before: was, after: is })
    };
    Ok(paths.into_iter().filter_map(change).collect())
}

fn fields(text: &str) -> Result<BTreeMap<String, String>, PolicyError> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| PolicyError::Toml(error.to_string()))?;
    let mut fields = BTreeMap::new();
    flatten("", &Value::Table(table), &mut fields);
    Ok(fields)
}

/// Tables become paths; thresholds are named by what they belong to, so that their order does not count.
fn flatten(path: &str, value: &Value, fields: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                flatten(&below(key), value, fields);
            }
        }
        Value::Array(values) if values.iter().any(Value::is_table) => {
            for value in values {
                flatten(&format!("{path}[{}]", owner(value)), value, fields);
            }
        }
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::Array(_) => {
            fields.insert(path.to_owned(), value.to_string());
        }
    }
}

fn owner(value: &Value) -> String {
    let text = |key: &str| value.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    ["model", "recipe", "scenes"].iter().filter_map(|key| text(key)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, after: &str, expected: &[(&str, Option<&str>, Option<&str>)]) {
        let changes = difference(before, after).unwrap();
        let shown: Vec<_> = changes.iter().map(|c| (c.field.as_str(), c.before.as_deref(), c.after.as_deref())).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn fields_are_named_by_their_path() {
        check(
            "a = 1\n[b]\nc = 'x'",
            "# new\n[b]\nc = 'y'\nd = true",
            &[("a", Some("1"), None), ("b.c", Some("\"x\""), Some("\"y\"")), ("b.d", None, Some("true"))],
        );
        check("a = 1", "a = 1 # the same", &[]);
        check("a = [1, 2]", "a = [1, 3]", &[("a", Some("[1, 2]"), Some("[1, 3]"))]);
    }

    #[test]
    fn thresholds_are_named_by_model_and_recipe_and_not_by_their_place() {
        let table = |model: &str, score: f32| format!("[[thresholds]]\nmodel = '{model}'\nrecipe = 'r@1'\nmatch_at_least = {score}\n");
        let (one, two) = (table("m@1", 0.5), table("m@2", 0.4));
        check(&format!("{one}{two}"), &format!("{two}{one}"), &[]);
        check(&one, &table("m@1", 0.75), &[("thresholds[m@1 r@1].match_at_least", Some("0.5"), Some("0.75"))]);
    }

    #[test]
    fn what_is_no_toml_is_refused() {
        assert!(difference("a = ", "a = 1").is_err());
    }
}
