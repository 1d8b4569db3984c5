//! A proxy before a database's server that counts round trips: what a client says and the server answers.
//!
//! However many packets go one way, they are one trip until something comes back. A mark in what the client says, the
//! statement that begins a batch, tells one batch from the next.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A proxy on a free port of this machine; it ends with this value.
pub(crate) struct Proxy {
    port: u16,
    trips: Arc<Mutex<Vec<u64>>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Begins to listen for clients of the server at `address`.
    ///
    /// # Errors
    /// When there is no free port.
    pub(crate) async fn start(address: (String, u16), mark: &'static str) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let trips = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&trips);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (address, log) = (address.clone(), Arc::clone(&log));
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(address).await {
                        // Either side may go away at any time.
                        let _ = relay(client, server, mark.as_bytes(), &log).await;
                    }
                });
            }
        });
        Ok(Self { port, trips, accepting })
    }

    /// Where clients find it.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The round trips from one mark of a connection to its next, of all connections.
    pub(crate) fn trips(&self) -> Vec<u64> {
        self.trips.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn relay(mut client: TcpStream, mut server: TcpStream, mark: &[u8], log: &Mutex<Vec<u64>>) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let (mut trips, mut marked, mut is_answered) = (0, None, true);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let said = &asked[..read?];
                if said.is_empty() {
                    return Ok(());
                }
                if said.windows(mark.len()).any(|part| part == mark)
                    && let Some(before) = marked.replace(trips)
                {
                    log.lock().unwrap_or_else(PoisonError::into_inner).push(trips - before);
                }
                trips += u64::from(std::mem::take(&mut is_answered));
                server.write_all(said).await?;
            }
            read = server.read(&mut answered) => {
                let answer = &answered[..read?];
                if answer.is_empty() {
                    return Ok(());
                }
                is_answered = true;
                client.write_all(answer).await?;
            }
        }
    }
}
