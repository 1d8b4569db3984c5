//! A network between a process and its server that a test can make good and bad.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::backfills::LAST_WORDS;
use crate::database::COMMIT;

/// What the network is like, for all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Clear,
    /// Everything takes so long.
    Slow(Duration),
    /// Nothing arrives until it is clear again, and then everything does: what TCP makes of a cable that is pulled for a
    /// while. Nobody is told.
    Silent,
    /// Who connects is turned away.
    Closed,
}

/// What becomes of a batch's `COMMIT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It happens; the connection is cut before the answer.
    DoneThenCut,
    /// It never arrives; the connection is cut.
    LostThenCut,
    /// It happens, and there is never an answer: the connection stays.
    DoneThenSilent,
    /// It never arrives, and there is never an answer: the connection stays.
    LostThenSilent,
    /// It is on its way until the test [lets it arrive](Proxy::let_arrive).
    Late,
}

/// Listens on a port of its own and carries to the server and back; all that ends with it.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
    _listening: AbortOnDropHandle<()>,
}

struct Shared {
    server: u16,
    weather: watch::Sender<Weather>,
    fates: Mutex<VecDeque<Fate>>,
    /// Commits that have met their fate.
    struck: watch::Sender<usize>,
    late: watch::Sender<bool>,
    /// Open connections, by the port that the server sees.
    lines: Mutex<HashMap<u16, Arc<Line>>>,
    /// Ends all of it.
    gone: CancellationToken,
}

#[derive(Default)]
struct Line {
    cut: CancellationToken,
    /// Whether the client hears of the server's end, and still may speak.
    half_closed: Notify,
    /// Nothing arrives any more, in either direction.
    dead: watch::Sender<bool>,
    /// What the server says next is the answer to a commit that has a fate.
    doomed: Mutex<Option<Fate>>,
}

impl Proxy {
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server,
            weather: watch::Sender::new(Weather::Clear),
            fates: Mutex::default(),
            struck: watch::Sender::new(0),
            late: watch::Sender::new(false),
            lines: Mutex::default(),
            gone: CancellationToken::new(),
        });
        let listening = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Self { port, shared, _listening: AbortOnDropHandle::new(listening) }
    }

    /// From now on, the network is like this.
    pub fn weather(&self, weather: Weather) {
        self.shared.weather.send_replace(weather);
    }

    /// Ends every connection, for both sides. How many they were.
    pub fn cut(&self) -> usize {
        let lines = self.shared.lines.lock().unwrap();
        lines.values().for_each(|line| line.cut.cancel());
        lines.len()
    }

    /// Has every client hear that the server has ended, while the server hears nothing.
    pub fn half_close(&self) {
        self.shared.lines.lock().unwrap().values().for_each(|line| line.half_closed.notify_one());
    }

    /// Every connection that is open falls silent for ever, and nobody is told: what a firewall that forgets, or a server whose
    /// machine is gone, looks like. New ones are as good as any. How many they were.
    pub fn bury(&self) -> usize {
        let lines = self.shared.lines.lock().unwrap();
        for line in lines.values() {
            line.dead.send_replace(true);
        }
        lines.len()
    }

    /// What becomes of the next commits of batches.
    pub fn at_commits(&self, fates: impl IntoIterator<Item = Fate>) {
        self.shared.fates.lock().unwrap().extend(fates);
    }

    /// Waits until so many commits have met their fate.
    pub async fn struck(&self, commits: usize) {
        let mut struck = self.shared.struck.subscribe();
        let reached = tokio::time::timeout(herd::PATIENCE, struck.wait_for(|struck| *struck >= commits)).await;
        reached.expect("commits come by").unwrap();
    }

    /// Commits that are late arrive now.
    pub fn let_arrive(&self) {
        self.shared.late.send_replace(true);
    }

    /// The ports that the server sees.
    pub fn ports(&self) -> Vec<u16> {
        self.shared.lines.lock().unwrap().keys().copied().collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.gone.cancel();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            if *shared.weather.borrow() == Weather::Closed {
                return;
            }
            // Whatever ends it ends it for both sides: that is all there is to tell.
            let _ = carry(client, shared).await;
        });
    }
}

/// Carries until one of the two ends, or the test ends it.
async fn carry(client: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", shared.server)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let port = server.local_addr()?.port();
    let line = Arc::new(Line::default());
    shared.lines.lock().unwrap().insert(port, Arc::clone(&line));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let carried = tokio::select! {
        carried = async { tokio::try_join!(up(from_client, to_server, &line, &shared), down(from_server, to_client, &line, &shared)) } => {
            carried.map(drop)
        }
        () = line.cut.cancelled() => Ok(()),
        () = shared.gone.cancelled() => Ok(()),
    };
    shared.lines.lock().unwrap().remove(&port);
    carried
}

fn cut() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// From the client to the server.
async fn up(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, line: &Line, shared: &Shared) -> io::Result<()> {
    let mut bytes = vec![0; 1 << 16];
    let mut last_words = false;
    loop {
        let read = client.read(&mut bytes).await?;
        shared.passes(line).await;
        let said = &bytes[..read];
        if said.is_empty() {
            return server.shutdown().await;
        }
        last_words |= said.windows(LAST_WORDS.len()).any(|window| window == LAST_WORDS.as_bytes());
        // Nobody says anything behind a commit before it is answered.
        if last_words && said.ends_with(COMMIT) {
            last_words = false;
            if let Some(fate) = shared.fate() {
                meet(fate, line, shared).await?;
            }
        }
        server.write_all(said).await?;
    }
}

/// What becomes of a commit on its way.
async fn meet(fate: Fate, line: &Line, shared: &Shared) -> io::Result<()> {
    match fate {
        Fate::LostThenCut => {
            shared.strike();
            Err(cut())
        }
        Fate::LostThenSilent => {
            line.dead.send_replace(true);
            shared.strike();
            std::future::pending().await
        }
        Fate::Late => {
            shared.strike();
            let _ = shared.late.subscribe().wait_for(|late| *late).await;
            Ok(())
        }
        Fate::DoneThenCut | Fate::DoneThenSilent => {
            *line.doomed.lock().unwrap() = Some(fate);
            Ok(())
        }
    }
}

/// From the server to the client.
async fn down(mut server: OwnedReadHalf, mut client: OwnedWriteHalf, line: &Line, shared: &Shared) -> io::Result<()> {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let read = tokio::select! {
            read = server.read(&mut bytes) => read?,
            () = line.half_closed.notified() => 0,
        };
        shared.passes(line).await;
        let doomed = line.doomed.lock().unwrap().take();
        if let Some(fate) = doomed {
            shared.strike();
            if fate == Fate::DoneThenCut {
                return Err(cut());
            }
            line.dead.send_replace(true);
            return std::future::pending().await;
        }
        if read == 0 {
            return client.shutdown().await;
        }
        client.write_all(&bytes[..read]).await?;
    }
}

impl Shared {
    /// Waits until something that was said may arrive.
    async fn passes(&self, line: &Line) {
        if *line.dead.borrow() {
            std::future::pending::<()>().await;
        }
        let weather = *self.weather.borrow();
        if let Weather::Slow(delay) = weather {
            tokio::time::sleep(delay).await;
        }
        let _ = self.weather.subscribe().wait_for(|weather| *weather != Weather::Silent).await;
    }

    fn fate(&self) -> Option<Fate> {
        self.fates.lock().unwrap().pop_front()
    }

    fn strike(&self) {
        self.struck.send_modify(|struck| *struck += 1);
    }
}
