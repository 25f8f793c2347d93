//! A desk without a screen: the WebSocket as a page uses it.

use std::{net::TcpStream, time::Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, WebSocket, client::IntoClientRequest, stream::MaybeTlsStream};

use super::{PATIENCE, http::Client};

/// A connected desk.
pub struct Desk {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    /// The latest view of the agent.
    pub view: Value,
    /// Every message so far.
    pub messages: Vec<Value>,
}

impl Desk {
    /// Connects with the session of `client`.
    pub fn connect(client: &Client) -> Self {
        let mut request = format!("ws://{}/api/live", client.address).into_client_request().expect("a request");
        let headers = request.headers_mut();
        headers.insert("Cookie", client.cookie.parse().expect("a cookie"));
        headers.insert("Origin", format!("http://{}", client.address).parse().expect("an origin"));
        let (socket, _) = tokio_tungstenite::tungstenite::connect(request).expect("the live connection");
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(std::time::Duration::from_millis(50))).expect("a time-out");
        }
        let mut desk = Self { socket, view: Value::Null, messages: Vec::new() };
        desk.wait("the first view", |desk| !desk.view.is_null());
        desk
    }

    /// Becomes ready and waits until the server says so.
    pub fn ready(&mut self) {
        self.send(&json!({"type": "set_state", "state": "ready", "reason": null}));
        self.wait("the state ready", |desk| desk.view["state"] == "ready" || !desk.view["offer"].is_null());
    }

    pub fn send(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).expect("the desk is connected");
    }

    /// Reads until the condition holds.
    #[track_caller]
    pub fn wait(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < deadline, "the desk waited in vain for {what}; its view is {:#}", self.view);
            self.read();
        }
    }

    /// Waits for the pop and acknowledges it as a page would.
    #[track_caller]
    pub fn wait_offer(&mut self) -> Value {
        self.wait("an offer", |desk| !desk.view["offer"].is_null());
        let offer = self.view["offer"].clone();
        self.send(&json!({"type": "ack", "offer": offer["offer"], "level": "rendered"}));
        offer
    }

    pub fn read(&mut self) {
        let Ok(Message::Text(text)) = self.socket.read() else { return };
        let message: Value = serde_json::from_str(text.as_str()).expect("the server sends JSON");
        if message["type"] == "agent" {
            self.view = message.clone();
        }
        self.messages.push(message);
    }
}
