//! What a service may do to us: answer, dawdle, flood, point elsewhere, speak nonsense.

use std::{
    io::Write,
    net::TcpListener,
    time::{Duration, Instant},
};

use super::{
    stub::{Stub, answer, hang},
    *,
};

/// Long enough for a loaded machine, short enough for a test that waits for it.
const SOON: Patience = Patience { total: Some(Duration::from_millis(700)), idle: Duration::from_millis(700) };
const LONG: Patience = Patience { total: Some(Duration::from_secs(60)), idle: Duration::from_secs(60) };

fn get(stub: &Stub, patience: Patience) -> Result<(u16, Vec<u8>), EgressError> {
    let question = Question { method: "GET", path: "/x", headers: &[("X-Key", "a\r\nb: c")], body: b"" };
    ask(&stub.url("/v1/").parse().expect("an address"), &question, patience, 1_000)
}

#[test]
fn an_answer_comes_whole_with_a_length_in_chunks_or_to_the_end() {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n".to_vec();
    let interim = [b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), answer("200 OK", b"abcde")].concat();
    for text in [answer("200 OK", b"abcde"), chunked, b"HTTP/1.1 200 OK\r\n\r\nabcde".to_vec(), interim] {
        assert_eq!(get(&Stub::saying(text), LONG), Ok((200, b"abcde".to_vec())));
    }
    assert_eq!(get(&Stub::saying(answer("503 Busy", b"later")), LONG), Ok((503, b"later".to_vec())), "an answer too");
}

#[test]
fn the_question_names_host_and_path_and_a_value_makes_no_header_of_its_own() {
    let stub = Stub::saying(answer("200 OK", b""));
    get(&stub, LONG).expect("answers");
    let head = stub.asked()[0].head.clone();
    assert!(head.starts_with(&format!("GET /v1/x HTTP/1.1\r\nHost: {}\r\nX-Key: ab: c\r\n", stub.address)), "{head}");
}

#[test]
fn a_body_is_sent_whole_and_an_answer_before_its_end_is_heard() {
    let stub = Stub::saying(answer("200 OK", b"ok"));
    let body = vec![7; 300_000];
    let question = Question { method: "POST", path: "", headers: &[], body: &body };
    assert_eq!(ask(&stub.url("").parse().expect("an address"), &question, LONG, 10).map(|a| a.0), Ok(200));
    assert_eq!(stub.asked()[0].body, body);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a service may dawdle is real time")]
fn one_that_hangs_or_drips_is_left_in_time() {
    let drip: fn(&stub::Asked, &mut std::net::TcpStream) = |_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n");
        // Each octet is a sign of life; the whole still has an end.
        while stream.write_all(b"x").is_ok() {
            std::thread::park_timeout(Duration::from_millis(50));
        }
    };
    for stub in [Stub::start(|_, stream| hang(stream)), Stub::start(drip)] {
        let begun = Instant::now();
        assert!(matches!(get(&stub, SOON), Err(EgressError::TimedOut(_))));
        assert!(begun.elapsed() < Duration::from_secs(30), "not as long as it likes");
    }
}

#[test]
fn more_than_was_asked_for_is_not_read() {
    let flood = |_: &stub::Asked, stream: &mut std::net::TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 65_536]).is_ok() {}
    };
    assert!(matches!(get(&Stub::start(flood), LONG), Err(EgressError::TooLarge(_, 1_000))));
    let head = |_: &stub::Asked, stream: &mut std::net::TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"X-More: and more\r\n").is_ok() {}
    };
    assert!(matches!(get(&Stub::start(head), LONG), Err(EgressError::Nonsense(..))));
}

#[test]
fn a_redirect_is_not_followed() {
    let stub = Stub::saying("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n");
    assert!(matches!(get(&stub, LONG), Err(EgressError::Redirected(_, 302, to)) if to == "http://169.254.169.254/"));
    assert_eq!(stub.asked().len(), 1);
}

#[test]
fn nonsense_and_an_answer_cut_short_are_errors() {
    for text in [
        &b"SIP/2.0 200 OK\r\n\r\n"[..],
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
    ] {
        let answered = get(&Stub::saying(text), LONG);
        assert!(matches!(answered, Err(EgressError::Nonsense(..))), "{:?}: {answered:?}", String::from_utf8_lossy(text));
    }
}

#[test]
fn nobody_there_is_said_so_and_plain_text_is_no_tls() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let question = Question { method: "GET", path: "/", headers: &[], body: b"" };
    let address: Address = format!("http://{free}").parse().expect("an address");
    assert!(matches!(ask(&address, &question, LONG, 10), Err(EgressError::Unreachable(..))));
    let stub = Stub::saying(answer("200 OK", b"plain"));
    let address: Address = format!("https://{}", stub.address).parse().expect("an address");
    let error = ask(&address, &question, SOON, 10).expect_err("it speaks no TLS");
    assert!(matches!(error, EgressError::Tls(..) | EgressError::TimedOut(_)), "{error}");
}

/// A service that speaks TLS under the name `localhost`, and the file of the authority that says so.
fn tls_service() -> (std::net::SocketAddr, std::path::PathBuf) {
    use rustls::{
        ServerConfig, ServerConnection, StreamOwned,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    };
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/service/egress/tests");
    let pem = std::fs::read(folder.join("service.pem")).expect("readable");
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).map(|certificate| certificate.expect("PEM")).collect();
    let key = PrivateKeyDer::from_pem_slice(&pem).expect("a key");
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config = std::sync::Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).expect("a pair"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let config = config.clone();
            std::thread::spawn(move || {
                let mut stream = StreamOwned::new(ServerConnection::new(config).expect("a server"), socket);
                if stream.read(&mut [0; 4_096]).is_ok() {
                    let _ = stream.write_all(&answer("200 OK", b"whispered"));
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                }
            });
        }
    });
    (address, folder.join("authority.pem"))
}

#[test]
fn a_tls_service_is_heard_where_its_authority_and_its_name_are_right_and_not_asked_else() {
    let (at, authority) = tls_service();
    let question = Question { method: "GET", path: "/", headers: &[("X-Key", "secret")], body: b"" };
    let get = |host: &str, authority: &std::path::Path| -> Result<Vec<u8>, EgressError> {
        let to: Address = format!("https://{host}:{}", at.port()).parse().expect("an address");
        let connection = Connection::trusting(&to, LONG, Reach::Everywhere, || connection::trust_in(authority))?;
        let mut body = Vec::new();
        exchange(connection, &to, &question)?.read_to_end(&mut body).map_err(|e| connection::error(&to, &e))?;
        Ok(body)
    };
    assert_eq!(get("localhost", &authority), Ok(b"whispered".to_vec()));
    assert!(matches!(get("127.0.0.1", &authority), Err(EgressError::Tls(..))), "a name that the certificate does not say");
    let another = authority.with_file_name("service.pem");
    assert!(matches!(get("localhost", &another), Err(EgressError::Tls(..))), "an authority that is not trusted");
    assert!(matches!(get("localhost", &authority.with_file_name("none.pem")), Err(EgressError::Tls(..))));
}

#[test]
fn an_address_that_a_stranger_names_may_not_lead_inside() {
    let stub = Stub::saying(answer("200 OK", b"inner"));
    let question = Question { method: "GET", path: "/", headers: &[], body: b"" };
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let to: Address = format!("http://{host}:{}", stub.address.port()).parse().expect("an address");
        assert!(matches!(open(&to, &question, LONG, Reach::OuterOnly), Err(EgressError::Inner(_))), "{host}");
    }
    assert_eq!(stub.asked().len(), 0);
    let to: Address = stub.url("").parse().expect("an address");
    assert!(open(&to, &question, LONG, Reach::Everywhere).is_ok_and(|response| response.is_inner()));
}

#[test]
fn addresses_are_read_as_written_and_mistakes_say_what_is_wrong() {
    let read = |text: &str| text.parse::<Address>();
    for text in ["http://127.0.0.1:8080/v1", "https://speech.example.com", "http://[::1]:9000"] {
        assert_eq!(read(text).map(|a| a.to_string()), Ok(text.to_owned()));
    }
    assert_eq!(read("https://h/v1/").map(|a| (a.port(), a.path().to_owned())), Ok((443, "/v1".to_owned())));
    for wrong in
        ["speech.example.com", "ftp://h", "http://", "http://h:0", "http://h:x", "http://me:secret@h/", "http://h/a b", "http://h/#x"]
    {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}
