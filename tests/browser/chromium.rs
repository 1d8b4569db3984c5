//! A real Chromium, driven by chromedriver over `WebDriver`; one of each per test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::http::Method;
use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

/// As long as a page may take to show what it should; nothing waits this long unless it fails.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Browser {
    pub(crate) client: Client,
    driver: Child,
    port: u16,
    _profile: TempDir,
}

/// Finds both programs, or says loudly why the test does not run. With `DATA_DRIP_REQUIRE_BROWSER` set, that is a failure.
fn programs(test: &str) -> Option<(PathBuf, PathBuf)> {
    let find = |names: &[&str]| {
        let path = std::env::var_os("PATH")?;
        let folders: Vec<_> = std::env::split_paths(&path).collect();
        names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|file| file.is_file())
    };
    let chromium = find(&["chromium", "chromium-browser", "google-chrome"]);
    let found = chromium.zip(find(&["chromedriver"]));
    if found.is_none() {
        assert!(
            std::env::var_os("DATA_DRIP_REQUIRE_BROWSER").is_none(),
            "chromium and chromedriver are required, and not installed"
        );
        // Past the test harness, which swallows what passing tests print.
        let line = format!("SKIPPED browser::{test}: chromium or chromedriver is not installed\n");
        std::io::stderr().write_all(line.as_bytes()).expect("stderr is open");
    }
    found
}

impl Browser {
    /// `None` when there is no Chromium here; that has been said then.
    pub(crate) async fn start(test: &str) -> Option<Self> {
        let (chromium, chromedriver) = programs(test)?;
        let profile = TempDir::new().expect("a folder for the profile");
        let mut driver = Command::new(chromedriver)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let port = port(&mut driver);
        let mut flags: Vec<String> = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,900",
        ]
        .map(str::to_owned)
        .to_vec();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "args": flags, "binary": chromium },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!() };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a session with chromedriver");
        Some(Self { client, driver, port, _profile: profile })
    }

    /// The element with this `XPath`, as soon as there is one.
    pub(crate) async fn find(&self, xpath: &str) -> Element {
        match self.client.wait().at_most(PATIENCE).for_element(Locator::XPath(xpath)).await {
            Ok(element) => element,
            Err(error) => panic!("{xpath} is not there: {error}\n{}", self.text().await),
        }
    }

    /// The button or link that reads `label`.
    pub(crate) async fn click(&self, label: &str) {
        let xpath = format!("//*[self::button or self::a][normalize-space()='{label}']");
        self.find(&xpath).await.click().await.expect("it can be clicked");
    }

    /// The input of the label that reads `label`.
    pub(crate) async fn field(&self, label: &str) -> Element {
        self.find(&format!("//*[@id=//label[starts-with(normalize-space(), '{label}')]/@for]")).await
    }

    /// Opens an action's question and answers it with the button that reads `answer`.
    pub(crate) async fn act(&self, action: &str, answer: &str) {
        self.click(action).await;
        let button = self.find(&format!("//dialog[@open]//button[normalize-space()='{answer}']")).await;
        self.run("window.asked = true").await;
        button.click().await.expect("it can be clicked");
        // The old page may show the new status before the answer is there.
        self.until("the answer is there", "window.asked === undefined && document.readyState === 'complete'").await;
    }

    /// Waits, without touching the page, until the run it shows has this status.
    pub(crate) async fn status(&self, word: &str) {
        self.find(&format!("//h1/span[@class='status {word}']")).await;
    }

    /// Presses a key in whatever has the focus.
    pub(crate) async fn press(&self, key: Key) {
        self.type_in(&char::from(key).to_string()).await;
    }

    /// Types into whatever has the focus.
    pub(crate) async fn type_in(&self, text: &str) {
        let focused = self.client.active_element().await.expect("something has the focus");
        focused.send_keys(text).await.expect("it takes keys");
    }

    /// Moves on by Tab until what has the focus reads or is labelled `name`.
    pub(crate) async fn tab_to(&self, name: &str) {
        let script = "const e = document.activeElement; \
                      return (e.labels?.[0]?.textContent ?? e.getAttribute('aria-label') ?? e.textContent).trim()";
        for _ in 0..60 {
            self.press(Key::Tab).await;
            if self.run(script).await.as_str().is_some_and(|text| text.starts_with(name)) {
                return;
            }
        }
        panic!("Tab does not lead to {name}");
    }

    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.expect("a script")
    }

    /// Waits until a script gives `true`, and says `what` when it never does.
    pub(crate) async fn until(&self, what: &str, script: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.run(&format!("return ({script})")).await != Value::Bool(true) {
            assert!(Instant::now() < deadline, "{what}: not in time\n{}", self.text().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What axe-core finds wrong on the page: rule, what it asks for, and where.
    pub(crate) async fn barriers(&self) -> Vec<String> {
        if self.run("return window.axe === undefined").await == Value::Bool(true) {
            self.run(include_str!("vendor/axe.min.js")).await;
        }
        let script = "const done = arguments[arguments.length - 1]; \
            axe.run(document, { resultTypes: ['violations'] }).then((found) => done(found.violations.flatMap((rule) => \
            rule.nodes.map((node) => `${rule.id}: ${rule.help}: ${node.target} ${node.failureSummary}`))), \
            (error) => done([String(error)]))";
        let found = self.client.execute_async(script, Vec::new()).await.expect("axe runs");
        found.as_array().into_iter().flatten().map(ToString::to_string).collect()
    }

    pub(crate) async fn text(&self) -> String {
        match self.client.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        }
    }

    /// Everything that the console says: errors, warnings, refusals of the content security policy.
    pub(crate) async fn console(&self) -> Vec<String> {
        let command = Session { path: "se/log", body: json!({ "type": "browser" }) };
        let log = self.client.issue_cmd(command).await.expect("chromedriver keeps the console");
        log.as_array().into_iter().flatten().map(ToString::to_string).collect()
    }

    pub(crate) async fn devtools(&self, command: &str, parameters: Value) {
        let body = json!({ "cmd": command, "params": parameters });
        self.client.issue_cmd(Session { path: "goog/cdp/execute", body }).await.expect("a command of the dev tools");
    }

    /// As wide as a window, or as a phone.
    pub(crate) async fn width(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    pub(crate) async fn scheme(&self, scheme: &str) {
        let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", feature).await;
    }

    /// Neighbours of the page that are printed over one another.
    async fn collisions(&self) -> Value {
        let script = "const blocks = 'main :is(p, h1, h2, h3, dl, ul, ol, section, form, nav, figure, div)'; \
            const seen = [...document.querySelectorAll(blocks)].filter((e) => e.checkVisibility() && !e.closest('.unseen')); \
            const meets = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 \
                && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1; \
            return seen.filter((e) => e.nextElementSibling && seen.includes(e.nextElementSibling) \
                && meets(e.getBoundingClientRect(), e.nextElementSibling.getBoundingClientRect())) \
                .map((e) => e.outerHTML.slice(0, 200))";
        self.run(script).await
    }

    /// The page in light and dark, from narrow to great: none may be wider than its window, nothing may be printed over
    /// something else, none may have a barrier for whoever does not see or does not point. Pictures of them go to
    /// `target/tmp/screenshots`.
    pub(crate) async fn look(&self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        std::fs::create_dir_all(&folder).expect("a folder for pictures");
        for scheme in ["light", "dark"] {
            self.scheme(scheme).await;
            for (size, width, height) in [("great", 1920, 1080), ("wide", 1280, 900), ("narrow", 360, 780)] {
                self.width(width, height).await;
                let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
                assert_eq!(self.run(overflow).await, 0, "{name} is too wide for {width} pixels");
                assert_eq!(self.collisions().await, json!([]), "{name} at {width} pixels");
                let body = json!({ "cmd": "Page.captureScreenshot", "params": { "captureBeyondViewport": true } });
                let shot = self.client.issue_cmd(Session { path: "goog/cdp/execute", body }).await.expect("a picture");
                let png = base64(shot["data"].as_str().expect("it is text"));
                std::fs::write(folder.join(format!("{name}-{scheme}-{size}.png")), png).expect("it can be kept");
                if size != "great" {
                    let barriers = self.barriers().await;
                    assert!(barriers.is_empty(), "{name}, {scheme}, {size}: {}", barriers.join("\n"));
                }
            }
        }
        self.scheme("light").await;
        self.width(1280, 900).await;
    }

    /// A small picture of the page for the documentation, in light and dark.
    pub(crate) async fn picture(&self, folder: &Path, name: &str, (width, height): (u32, u32)) {
        self.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
        for scheme in ["light", "dark"] {
            self.scheme(scheme).await;
            self.width(width, height).await;
            self.run("window.scrollTo(0, 0)").await;
            let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 0.8 });
            let how = json!({ "format": "webp", "quality": 60, "clip": clip });
            let body = json!({ "cmd": "Page.captureScreenshot", "params": how });
            let shot = self.client.issue_cmd(Session { path: "goog/cdp/execute", body }).await.expect("a picture");
            let bytes = base64(shot["data"].as_str().expect("it is text"));
            std::fs::write(folder.join(format!("{name}-{scheme}.webp")), bytes).expect("it can be kept");
        }
        self.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": false })).await;
        self.scheme("light").await;
        self.width(1280, 900).await;
    }

    pub(crate) async fn close(self) {
        self.client.clone().close().await.expect("the session ends");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Killed outright, the driver would leave its Chromium behind when a test fails.
        let asked = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut driver| {
            driver.set_read_timeout(Some(Duration::from_secs(5)))?;
            driver.write_all(b"GET /shutdown HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            driver.read_to_end(&mut Vec::new())
        });
        if asked.is_err() {
            let _ = self.driver.kill();
        }
        let _ = self.driver.wait();
    }
}

/// chromedriver says which port it has taken.
fn port(driver: &mut Child) -> u16 {
    let output = driver.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let port = lines
        .find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok())
        .expect("chromedriver starts");
    // It goes on talking, and must not be held up by a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    port
}

/// A POST to the session that the `WebDriver` standard does not know.
#[derive(Debug)]
struct Session {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Session {
    fn endpoint(&self, base_url: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base_url.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// Base64 as the dev tools send it, without blanks.
fn base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let six = |letter: u8| LETTERS.iter().position(|known| *known == letter).expect("a letter of base64");
    let letters: Vec<usize> = text.bytes().filter(|letter| *letter != b'=').map(six).collect();
    let bytes = letters.chunks(4).flat_map(|four| {
        let bits = four.iter().fold(0, |bits, six| bits << 6 | six) << (6 * (4 - four.len()));
        [bits >> 16 & 255, bits >> 8 & 255, bits & 255].into_iter().take(four.len() - 1)
    });
    bytes.map(|byte| u8::try_from(byte).expect("eight bits")).collect()
}
