//! Clients that are slow, greedy, gone or many.

use super::*;

#[test]
fn a_head_that_dribbles_in_is_cut_off() {
    let site = Site::with(|settings| settings.timeouts = quick());
    let begin = clock::instant();
    let mut dribbling = site.client();
    let mut silent = site.client();
    for byte in b"GET /fake/all/x HTTP/1.1\r\nHost: a\r\nX-Slow: 1234567890" {
        use std::io::Write as _;
        if dribbling.0.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(dribbling.ends() && silent.ends());
    assert!(begin.elapsed() < Duration::from_secs(3));
    assert_eq!(site.log(), "");
}

#[test]
fn a_connection_is_kept_between_requests_but_not_for_ever() {
    let site = Site::with(|settings| settings.timeouts = quick());
    let mut client = site.client();
    for _ in 0..3 {
        assert_eq!(client.ask("GET", "/fake/all/x", &[]).status, 200);
        // Longer than the head of a request may take once it has begun.
        std::thread::sleep(Duration::from_millis(600));
    }
    assert!(client.ends());
    // A second head that dribbles in is no better than a first one, however long the pause may be.
    let patient = |settings: &mut ServerSettings| {
        settings.timeouts = Timeouts { idle: Duration::from_secs(60), ..quick() };
    };
    let site = Site::with(patient);
    let mut client = site.client();
    client.ask("GET", "/fake/all/x", &[]);
    client.send("GET /");
    assert!(client.ends());
}

#[test]
fn a_client_that_drains_nothing_is_dropped_and_disturbs_nobody() {
    let site = Site::with(|settings| settings.timeouts = quick());
    let size = 256 << 20;
    let path = format!("/fake/all/blob/{}/{size}", site.store.put_zeros(size).hex());
    let mut stalled: Vec<Client> = (0..20).map(|_| site.client()).collect();
    for client in &mut stalled {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    for _ in 0..20 {
        let begin = clock::instant();
        assert_eq!(site.get("/fake/all/x", &[]).status, 200);
        assert!(begin.elapsed() < Duration::from_secs(2));
    }
    eventually("all are dropped", || site.log().matches(" cut ").count() == stalled.len());
    assert!(stalled.iter_mut().all(Client::ends));
}

#[test]
fn a_client_that_drains_slowly_is_served() {
    let site = Site::with(|settings| settings.timeouts = quick());
    let size = 24 << 20;
    let path = format!("/fake/all/blob/{}/{size}", site.store.put_zeros(size).hex());
    let mut client = site.client();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let mut buffer = vec![0; 3 << 20];
    for _ in 0..8 {
        use std::io::Read as _;
        client.0.read_exact(&mut buffer).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(client.ends(), "the rest comes, and then the connection is idle");
    assert!(!site.log().contains(" cut "), "{}", site.log());
}

#[test]
fn requests_in_a_row_are_answered_in_a_row() {
    let site = Site::start();
    let mut client = site.client();
    let names: Vec<String> = (0..50).map(|number| format!("p{number}")).collect();
    let requests: String =
        names.iter().map(|name| format!("GET /fake/all/{name} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    client.send(requests);
    for name in names {
        assert!(client.response(false).unwrap().text().starts_with(&format!("{name} - ")));
    }
    client.send("GET /fake/all/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(client.response(false).unwrap().status, 200);
    assert!(client.ends());
}

#[test]
fn giant_heads_are_refused() {
    let site = Site::start();
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "a".repeat(20_000));
    let path = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-A: b\r\n".repeat(200));
    for (request, statuses) in [(long, [431, 431]), (path, [431, 414]), (many, [431, 431])] {
        let mut client = site.client();
        client.send(request);
        let status = client.response(false).map(|response| response.status).unwrap_or_default();
        assert!(statuses.contains(&status), "{status}");
        assert!(client.ends());
    }
}

#[test]
fn garbage_is_refused_and_the_connection_ended() {
    let site = Site::start();
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut client = site.client();
        client.send(garbage);
        let _ = client.0.shutdown(std::net::Shutdown::Write);
        if let Some(response) = client.response(false) {
            assert!((400..600).contains(&response.status), "{response:?}");
        }
        assert!(client.ends());
    }
    assert_eq!(site.get("/fake/all/x", &[]).status, 200);
}

#[test]
fn bodies_are_bounded_in_size_and_time() {
    let site = Site::with(|settings| settings.timeouts = quick());
    let post = |client: &mut Client, headers: &str, body: &[u8]| {
        client.send(format!("POST /fake/all/echo HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n"));
        client.send(body);
        client.response(false).unwrap()
    };
    let mut client = site.client();
    let large = vec![b'x'; 1 << 20];
    assert_eq!(post(&mut client, "Content-Length: 5", b"hello").text(), "hello");
    assert_eq!(post(&mut client, "Content-Length: 1048576", &large).body, large);
    assert_eq!(post(&mut client, "Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n").text(), "hello");
    assert_eq!(post(&mut client, "Content-Length: 0", b"").text(), "");
    // Declared too large: refused at once to a client that waits, and readable for one that doesn't.
    assert_eq!(post(&mut client, "Content-Length: 1048577\r\nExpect: 100-continue", b"").status, 413);
    assert!(client.ends());
    let too_large = vec![b'x'; (1 << 20) + 1];
    assert_eq!(post(&mut site.client(), "Content-Length: 1048577", &too_large).status, 413);
    // Declared not at all.
    let mut chunks = Vec::new();
    for _ in 0..17 {
        chunks.extend_from_slice(b"10000\r\n");
        chunks.extend_from_slice(&large[..1 << 16]);
        chunks.extend_from_slice(b"\r\n");
    }
    chunks.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(post(&mut site.client(), "Transfer-Encoding: chunked", &chunks).status, 413);
    // It never comes, or not as announced.
    assert_eq!(post(&mut site.client(), "Content-Length: 5", b"he").status, 408);
    assert_eq!(post(&mut site.client(), "Transfer-Encoding: chunked", b"zz\r\n").status, 400);
    // A client that waits for permission gets it.
    let mut client = site.client();
    assert_eq!(post(&mut client, "Content-Length: 2\r\nExpect: 100-continue", b"").status, 100);
    client.send("ok");
    assert_eq!(client.response(false).unwrap().text(), "ok");
}

#[test]
fn a_refused_upload_still_reads_why() {
    let site = Site::start();
    let mut client = site.client();
    client.send("PUT /fake/all/x HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n");
    client.send(vec![b'x'; 500_000]);
    assert_eq!(client.response(false).unwrap().status, 405);
}

#[test]
fn where_there_is_no_slot_clients_wait() {
    let site = Site::with(|settings| settings.connections = 1);
    let mut first = site.client();
    assert_eq!(first.ask("GET", "/fake/all/x", &[]).status, 200);
    let mut second = site.client();
    second.send("GET /fake/all/x HTTP/1.1\r\nHost: a\r\n\r\n");
    second.0.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(second.response(false).is_none());
    drop(first);
    second.0.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(second.response(false).unwrap().status, 200);
}

#[test]
fn connections_are_kept_only_while_there_are_slots() {
    let site = Site::with(|settings| settings.connections = 16);
    let mut clients: Vec<Client> = (0..16).map(|_| site.client()).collect();
    let (mut kept, mut closed) = (0, 0);
    // The last one is accepted only when every other one is, or has left.
    for client in clients.iter_mut().rev() {
        match client.ask("GET", "/fake/all/x", &[]).header("connection") {
            None => kept += 1,
            Some(_) => {
                closed += 1;
                assert!(client.ends());
            }
        }
    }
    assert!(kept > 0 && closed > 0, "{kept} kept, {closed} closed");
}

#[test]
fn what_has_begun_ends_when_the_server_stops() {
    let mut site = Site::start();
    let mut idle = site.client();
    assert_eq!(idle.ask("GET", "/fake/all/x", &[]).status, 200);
    let mut client = site.client();
    client.send("GET /fake/all/slow HTTP/1.1\r\nHost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(100));
    let begin = clock::instant();
    site.stop();
    assert!(begin.elapsed() < Duration::from_secs(2));
    assert_eq!(client.response(false).unwrap().text(), "slow");
    assert!(client.ends() && idle.ends());
    assert!(std::net::TcpStream::connect(site.address).is_err());
}

#[test]
fn what_does_not_end_is_cut_when_the_server_stops() {
    let mut site = Site::with(|settings| settings.timeouts.shutdown = Duration::from_millis(200));
    let size = 256 << 20;
    let path = format!("/fake/all/blob/{}/{size}", site.store.put_zeros(size).hex());
    let mut client = site.client();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    std::thread::sleep(Duration::from_millis(100));
    let begin = clock::instant();
    site.stop();
    assert!(begin.elapsed() < Duration::from_secs(2));
    assert!(client.ends());
}
