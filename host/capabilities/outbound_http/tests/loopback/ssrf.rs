//! Names and spellings that lead inside are refused, whatever the manifest's wildcards say.

use crate::servers::*;
use capability_outbound_http::Config;

#[tokio::test]
async fn no_spelling_of_an_inside_address_gets_through_a_wildcard() {
    let server = Server::start(hello).await;
    let port = server.address.port();
    let client = client(Default::default());
    let wide = origin(&["*://*:*"]);
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "017700000001",
        "0",
        "0.0.0.0",
        "127.0.0.1.",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::1]",
        "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
        "[fe80::1]",
        "[fd00::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "[::ffff:169.254.169.254]",
        "169.254.169.254",
        "2852039166",
        "0xA9FEA9FE",
        "0251.0376.0251.0376",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "localhost",
        "LOCALHOST.",
        "sub.localhost",
    ] {
        let sent = client.send(get(&format!("http://{host}:{port}/")), None, &wide).await;
        let refusal = refusal(sent);
        // Not every machine knows a name below localhost.
        let unknown = host == "sub.localhost" && refusal.starts_with("DnsError");
        assert!(refusal == "DestinationIpProhibited" || unknown, "{host}: {refusal}");
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn a_public_name_with_an_inside_address_is_refused() {
    let server = Server::start(hello).await;
    let port = server.address.port();
    for inside in ["127.0.0.1", "10.1.2.3", "169.254.169.254", "fd00:ec2::254", "::1"] {
        let client = client(Config { resolver: Script::new(&[&[inside]]), ..Config::default() });
        for line in ["*://*:*".to_owned(), format!("http://api.example.com:{port}")] {
            let uri = format!("http://api.example.com:{port}/");
            let sent = client.send(get(&uri), None, &origin(&[&line])).await;
            assert_eq!(refusal(sent), "DestinationIpProhibited", "{line} at {inside}");
        }
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn a_name_is_asked_once_and_the_checked_address_is_the_one_connected_to() {
    let server = Server::start(hello).await;
    let port = server.address.port();
    // The second answer would be refused; a second question would find it.
    let script = Script::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let client = client(Config { resolver: script.clone(), ..Config::default() });
    let name = format!("http://rebind.example:{port}");
    let literal = format!("http://127.0.0.1:{port}");
    let origin = origin(&[&name, &literal]);
    let response = client.send(get(&format!("{name}/")), None, &origin).await.expect("granted");
    assert_eq!(text(response).await, "hello");
    assert_eq!(script.asked(), 1);
    // The connection that was checked serves the next request; its name is not asked again.
    let response = client.send(get(&format!("{name}/")), None, &origin).await.expect("granted");
    assert_eq!(text(response).await, "hello");
    assert_eq!((script.asked(), server.accepted()), (1, 1));
}

#[tokio::test]
async fn a_name_that_turns_inside_later_is_refused_then() {
    let server = Server::start(|_request| async {
        let close = http::Response::builder().header("connection", "close");
        close.body(nexus_runtime::full("hello")).expect("a sound response")
    })
    .await;
    let port = server.address.port();
    let script = Script::new(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let client = client(Config { resolver: script.clone(), ..Config::default() });
    let name = format!("http://rebind.example:{port}");
    let origin = origin(&[&name, &format!("http://127.0.0.1:{port}")]);
    let response = client.send(get(&format!("{name}/")), None, &origin).await.expect("granted");
    assert_eq!(text(response).await, "hello");
    let sent = client.send(get(&format!("{name}/")), None, &origin).await;
    assert_eq!(refusal(sent), "DestinationIpProhibited");
}

#[tokio::test]
async fn of_several_addresses_only_the_allowed_ones_are_connected_to() {
    let server = Server::start(hello).await;
    let port = server.address.port();
    let script = Script::new(&[&["10.255.255.1", "fd00::1", "127.0.0.1", "169.254.169.254"]]);
    let client = client(Config { resolver: script, ..Config::default() });
    let name = format!("http://many.example:{port}");
    let origin = origin(&[&name, &format!("http://127.0.0.0/8:{port}")]);
    let response = client.send(get(&format!("{name}/")), None, &origin).await.expect("granted");
    assert_eq!(text(response).await, "hello");
}

#[tokio::test]
async fn localhost_by_name_means_loopback_and_nothing_else() {
    let server = Server::start(hello).await;
    let name = format!("http://localhost:{}", server.address.port());
    let honest = client(Config { resolver: loopback(), ..Config::default() });
    let response = honest.send(get(&format!("{name}/")), None, &origin(&[&name])).await;
    assert_eq!(text(response.expect("it is granted")).await, "hello");
    let lying = Config { resolver: Script::new(&[&["10.0.0.1"]]), ..Config::default() };
    let sent = client(lying).send(get(&format!("{name}/")), None, &origin(&[&name])).await;
    assert_eq!(refusal(sent), "DestinationIpProhibited");
}

#[tokio::test]
async fn a_name_without_an_address_is_a_dns_error() {
    let client = client(Config { resolver: Script::new(&[&[]]), ..Config::default() });
    let sent = client.send(get("http://nobody.example/"), None, &origin(&["*://*:*"])).await;
    assert!(refusal(sent).starts_with("DnsError"));
}
