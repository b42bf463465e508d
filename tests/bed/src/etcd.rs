//! The store behind a simulated cluster's API server, for what that lets nobody change: when something was created.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Another client may change an object at the same time; each try reads it again.
const TRIES: usize = 20;

/// An etcd, by its gateway for JSON.
#[derive(Clone, Debug)]
pub struct Etcd {
    address: String,
}

/// An object as it is stored.
struct Stored {
    key: String,
    version: String,
    object: Value,
}

impl Etcd {
    /// The one that listens on that port of this machine.
    #[must_use]
    pub fn on_port(port: u16) -> Self {
        Self { address: format!("http://127.0.0.1:{port}") }
    }

    /// Changes all objects whose keys begin so. They must be stored as JSON, as custom resources are. Says how many there were.
    ///
    /// # Errors
    /// If the store cannot be reached, an object is no JSON, or it never stays unchanged for long enough.
    pub fn change(&self, prefix: &str, change: impl Fn(&mut Value)) -> Result<usize> {
        let mut left = self.read(prefix)?;
        let number = left.len();
        for _ in 0..TRIES {
            let mut conflicts = Vec::new();
            for stored in left {
                let mut object = stored.object.clone();
                change(&mut object);
                if !self.replace(&stored, &object)? {
                    conflicts.push(stored.key);
                }
            }
            if conflicts.is_empty() {
                return Ok(number);
            }
            left = self.read(prefix)?;
            left.retain(|stored| conflicts.contains(&stored.key));
        }
        bail!("{} objects below {prefix} change all the time", left.len())
    }

    fn read(&self, prefix: &str) -> Result<Vec<Stored>> {
        let mut end = prefix.as_bytes().to_vec();
        // The first key that does not begin so.
        *end.last_mut().context("every key begins with nothing")? += 1;
        let answer = self.ask("range", &json!({"key": STANDARD.encode(prefix), "range_end": STANDARD.encode(end)}))?;
        answer["kvs"].as_array().into_iter().flatten().map(stored).collect()
    }

    /// Whether it was still the same, and so is replaced.
    fn replace(&self, stored: &Stored, object: &Value) -> Result<bool> {
        let unchanged = json!({"key": stored.key, "target": "MOD", "result": "EQUAL", "modRevision": stored.version});
        let put = json!({"requestPut": {"key": stored.key, "value": STANDARD.encode(object.to_string())}});
        let answer = self.ask("txn", &json!({"compare": [unchanged], "success": [put]}))?;
        Ok(answer["succeeded"] == true)
    }

    fn ask(&self, method: &str, question: &Value) -> Result<Value> {
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        let asked = agent.post(format!("{}/v3/kv/{method}", self.address)).send(question.to_string());
        let answer = asked.context("cannot reach etcd")?.body_mut().read_to_string()?;
        serde_json::from_str(&answer).context("etcd does not answer in JSON")
    }
}

fn stored(entry: &Value) -> Result<Stored> {
    let text = |key: &str| entry[key].as_str().map(str::to_owned).with_context(|| format!("etcd leaves {key} out"));
    let value = STANDARD.decode(text("value")?)?;
    let object = serde_json::from_slice(&value).context("the object is not stored as JSON")?;
    Ok(Stored { key: text("key")?, version: text("mod_revision")?, object })
}
