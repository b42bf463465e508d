//! What a dashboard's JSON says of a panel, as far as it is drawn.

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Panel {
    pub title: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub grid_pos: Place,
    #[serde(default)]
    pub targets: Vec<Target>,
    #[serde(default)]
    pub field_config: FieldConfig,
    #[serde(default)]
    pub transformations: Vec<Value>,
}

/// In columns and lines of the grid.
#[derive(Debug, Deserialize)]
pub struct Place {
    pub x: u16,
    pub y: u16,
    pub w: u16,
    pub h: u16,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    pub ref_id: String,
    pub expr: String,
    #[serde(default)]
    pub legend_format: String,
}

#[derive(Debug, Default, Deserialize)]
pub struct FieldConfig {
    #[serde(default)]
    pub defaults: Defaults,
    #[serde(default)]
    pub overrides: Vec<Override>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Defaults {
    pub unit: String,
    pub decimals: Option<usize>,
    pub max: Option<f64>,
    pub thresholds: Thresholds,
    pub mappings: Vec<Value>,
    pub custom: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Thresholds {
    pub steps: Vec<Step>,
}

/// From that value on, or from the lowest.
#[derive(Debug, Deserialize)]
pub struct Step {
    pub color: String,
    pub value: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub struct Override {
    pub matcher: Value,
    pub properties: Vec<Value>,
}

impl FieldConfig {
    /// What an override says of a field of that name.
    fn overridden(&self, name: &str, property: &str) -> Option<&Value> {
        let of_field = self.overrides.iter().filter(|it| it.matcher["options"] == name);
        of_field.flat_map(|it| &it.properties).find(|it| it["id"] == property).map(|it| &it["value"])
    }

    /// The colour that a series is given by name.
    pub fn colour(&self, name: &str) -> Option<&str> {
        self.overridden(name, "color")?["fixedColor"].as_str()
    }

    /// The unit of a field.
    pub fn unit(&self, name: &str) -> &str {
        self.overridden(name, "unit").and_then(Value::as_str).unwrap_or(&self.defaults.unit)
    }
}
