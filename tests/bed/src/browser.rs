//! A browser without windows, and what its pages show. It is Chromium, spoken to by its DevTools protocol.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

use crate::programs::{self, BROWSER, FONTS};
use crate::{Process, wait};

/// How long the browser may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the browser logs once it can be spoken to.
const LISTENING: &str = "DevTools listening on ";

/// A running browser, which ends with the value.
#[derive(Debug)]
pub struct Browser {
    address: String,
    _process: Process,
    _folder: ProfileFolder,
}

/// The browser's own files, which go after the process.
#[derive(Debug)]
struct ProfileFolder(PathBuf);

impl Drop for ProfileFolder {
    fn drop(&mut self) {
        // Helpers of the browser that end a moment after it may still write there.
        let is_gone = || Ok((fs::remove_dir_all(&self.0).is_ok() || !self.0.exists()).then_some(()));
        drop(wait::until("the browser's files to go", Duration::from_secs(5), is_gone));
    }
}

/// A page in a browser.
#[derive(Debug)]
pub struct Tab {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: Option<String>,
    last_id: u64,
    complaints: Vec<String>,
}

impl Browser {
    /// Starts one, and installs it before if that is needed.
    ///
    /// # Errors
    /// If there is none and none can be installed, or if it does not start.
    pub fn start() -> Result<Self> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        {
            let _guard = ONE_AT_A_TIME.lock();
            programs::require(&[BROWSER, FONTS])?;
        }
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let name = format!("browser-{}-{}", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let folder = ProfileFolder(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0)?;
        let log = folder.0.join("log");
        let process = Process::start(command(&folder.0)?, &log)?;
        let address = wait::until("the browser to listen", PATIENCE, || {
            process.ensure_running()?;
            let log = fs::read_to_string(&log)?;
            let address = log.lines().find_map(|line| line.strip_prefix(LISTENING));
            Ok(address.map(|address| address.trim().to_owned()))
        })?;
        Ok(Self { address, _process: process, _folder: folder })
    }

    /// Opens a page in a window of that size.
    ///
    /// # Errors
    /// If the browser does not do so.
    pub fn open(&self, page: &str, width: u32, height: u32) -> Result<Tab> {
        let (socket, _) = tungstenite::connect(&self.address).map_err(|error| anyhow!("no browser: {error}"))?;
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(PATIENCE))?;
        }
        let mut tab = Tab { socket, session: None, last_id: 0, complaints: Vec::new() };
        let created = tab.call("Target.createTarget", &json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": created["targetId"], "flatten": true});
        let attached = tab.call("Target.attachToTarget", &attach)?;
        tab.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            tab.call(&format!("{domain}.enable"), &json!({}))?;
        }
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        tab.call("Emulation.setDeviceMetricsOverride", &size)?;
        tab.call("Page.navigate", &json!({"url": page}))?;
        Ok(tab)
    }
}

fn command(folder: &Path) -> Result<Command> {
    // Debian's script starts the program as a process of its own, which would go on after the script was ended.
    let program = Path::new("/usr/lib/chromium").join(BROWSER);
    let mut command = Command::new(if program.is_file() { program } else { programs::find(BROWSER)? });
    command.args(["--remote-debugging-port=0", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "about:blank"]);
    // Its sandbox refuses to be started by root. It only opens pages of this project.
    command.args(["--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server"]);
    command.arg(format!("--user-data-dir={}", folder.display())).env("TZ", "UTC").env("LANG", "C.UTF-8");
    Ok(command)
}

impl Tab {
    /// What an expression of the page's script is, after what it promises.
    ///
    /// # Errors
    /// If it throws, or the browser does not answer.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let wanted = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", &wanted)?;
        match answer.get("exceptionDetails") {
            Some(thrown) => bail!("{expression} threw {thrown}"),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// Waits until an expression is true.
    ///
    /// # Errors
    /// If it is not in time, with all that the page shows.
    pub fn until(&mut self, expression: &str) -> Result<()> {
        let waited = wait::until(expression, PATIENCE, || {
            // The page may be about to load.
            let is_true = self.evaluate(expression).is_ok_and(|value| value == true);
            Ok(is_true.then_some(()))
        });
        match waited {
            Ok(()) => Ok(()),
            Err(error) => {
                let shown = self.evaluate("document.body.innerText").unwrap_or_default();
                Err(error.context(format!("{}\n{:?}", shown.as_str().unwrap_or_default(), self.complaints)))
            }
        }
    }

    /// Presses a key.
    ///
    /// # Errors
    /// If the browser does not answer.
    pub fn press(&mut self, key: &str) -> Result<()> {
        for kind in ["keyDown", "keyUp"] {
            self.call("Input.dispatchKeyEvent", &json!({"type": kind, "key": key, "code": key}))?;
        }
        Ok(())
    }

    /// Makes the page believe that the system prefers dark colours, or light ones.
    ///
    /// # Errors
    /// If the browser does not answer.
    pub fn prefer(&mut self, scheme: &str) -> Result<()> {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.call("Emulation.setEmulatedMedia", &json!({"features": [feature]})).map(drop)
    }

    /// What is visible, as a PNG.
    ///
    /// # Errors
    /// If the browser does not answer.
    pub fn screenshot(&mut self) -> Result<Vec<u8>> {
        let answer = self.call("Page.captureScreenshot", &json!({"format": "png", "optimizeForSpeed": false}))?;
        STANDARD.decode(answer["data"].as_str().unwrap_or_default()).context("no image")
    }

    /// What the browser complained of: exceptions, errors, and violations of the page's policy.
    pub fn complaints(&mut self) -> Vec<String> {
        // Whatever came before the answer has been read then.
        drop(self.evaluate("0"));
        std::mem::take(&mut self.complaints)
    }

    /// Calls a method of the protocol.
    ///
    /// # Errors
    /// If the browser refuses, or does not answer.
    pub fn call(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        self.last_id += 1;
        let mut request = json!({"id": self.last_id, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            request["sessionId"] = session.as_str().into();
        }
        self.socket.send(Message::text(request.to_string()))?;
        loop {
            let message = self.socket.read().with_context(|| format!("no answer to {method}"))?;
            let Message::Text(text) = message else { continue };
            let answer: Value = serde_json::from_str(&text)?;
            if answer["id"] == self.last_id {
                return match answer.get("error") {
                    Some(error) => bail!("{method}: {error}"),
                    None => Ok(answer["result"].clone()),
                };
            }
            self.note(&answer);
        }
    }

    fn note(&mut self, event: &Value) {
        let parameters = &event["params"];
        let is_error = parameters["entry"]["level"] == "error" || parameters["type"] == "error";
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.complaints.push(parameters["exceptionDetails"].to_string()),
            Some("Log.entryAdded" | "Runtime.consoleAPICalled") if is_error => {
                self.complaints.push(parameters.to_string())
            }
            _ => {}
        }
    }
}
