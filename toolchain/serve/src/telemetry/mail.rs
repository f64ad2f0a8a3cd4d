//! Mail by SMTP, over TLS unless the mail server is on the same host.

use elias_telemetry::notification::MailText;
use elias_triggers::webhook_delivery::TIMEOUT;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::{AsyncTransport, Tokio1Executor};
use std::net::IpAddr;
use url::Url;

/// The mail server of the operator, and the sender of the mails.
pub(crate) struct MailServer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl MailServer {
    /// The mail server at a URL: `smtps://USER:PASSWORD@HOST`, `smtp://HOST:587?tls=required` for STARTTLS, or
    /// `smtp://127.0.0.1` without TLS.
    ///
    /// # Errors
    /// What is wrong with the URL or the address.
    pub(crate) fn new(url: &str, from: &str) -> Result<Self, String> {
        let from = from.parse::<Mailbox>().map_err(|error| format!("the sender's address: {error}"))?;
        check_tls(url)?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|error| error.to_string())?;
        Ok(Self { transport: transport.timeout(Some(TIMEOUT)).build(), from })
    }

    /// Sends a mail to each address.
    ///
    /// # Errors
    /// Why the server did not take it, within [`TIMEOUT`].
    pub(crate) async fn send(&self, to: &[String], mail: MailText) -> Result<(), String> {
        let MailText { subject, body } = mail;
        let mut message = Message::builder().from(self.from.clone()).subject(subject);
        for address in to {
            let address = address.parse::<Mailbox>().map_err(|error| format!("an address: {error}"))?;
            message = message.to(address);
        }
        // Responders such as those of absent people do not answer it (RFC 3834).
        let message = message.header(AutoSubmitted).header(ContentType::TEXT_PLAIN).body(body);
        let message = message.map_err(|error| error.to_string())?;
        // The timeout of the transport is for each step alone.
        match tokio::time::timeout(TIMEOUT, self.transport.send(message)).await {
            Ok(sent) => sent.map(drop).map_err(|error| format!("the mail server: {error}")),
            Err(_) => Err(format!("the mail server did not take the mail within {} s", TIMEOUT.as_secs())),
        }
    }
}

/// Refuses to send mails, and the password of the mail server, over a network in plain text.
fn check_tls(url: &str) -> Result<(), String> {
    let url = Url::parse(url).map_err(|error| format!("must be a URL: {error}"))?;
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    // Of several the client takes the first.
    let is_required = url.query_pairs().find(|(name, _)| name == "tls").is_some_and(|(_, value)| value == "required");
    match url.scheme() {
        "smtps" => Ok(()),
        "smtp" if is_required || is_local => Ok(()),
        "smtp" => Err("would be sent in plain text: use smtps://, or add ?tls=required for STARTTLS".to_owned()),
        _ => Err("must begin with smtps:// or smtp://".to_owned()),
    }
}

/// The header `Auto-Submitted: auto-generated`.
#[derive(Clone, Copy)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    #[test]
    fn mails_are_not_sent_over_a_network_in_plain_text() {
        for good in [
            "smtps://ops:secret@mail.example.com",
            "smtp://mail.example.com:587?tls=required",
            "smtp://127.0.0.1:25",
            "smtp://[::1]:25",
            "smtp://localhost",
        ] {
            assert_eq!(check_tls(good), Ok(()), "{good}");
        }
        for bad in [
            "smtp://mail.example.com",
            "smtp://mail.example.com?tls=opportunistic",
            "smtp://mail.example.com?tls=opportunistic&tls=required",
            "http://a",
            "mail",
        ] {
            assert!(check_tls(bad).is_err(), "{bad}");
        }
        assert!(MailServer::new("smtp://127.0.0.1", "nobody").is_err(), "no address");
    }

    /// Takes one mail and gives what the client said.
    async fn take_one(server: TcpListener) -> String {
        let (stream, _) = server.accept().await.expect("a client");
        let mut stream = BufReader::new(stream);
        let mut said = String::new();
        stream.write_all(b"220 test\r\n").await.expect("written");
        let mut is_data = false;
        loop {
            let from = said.len();
            assert_ne!(stream.read_line(&mut said).await.expect("a line"), 0, "{said}");
            let line = said[from..].trim_end().to_ascii_uppercase();
            let answer: &[u8] = match line.as_str() {
                "." => {
                    is_data = false;
                    b"250 taken\r\n"
                }
                _ if is_data => continue,
                "DATA" => {
                    is_data = true;
                    b"354 go on\r\n"
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").await.expect("written");
                    return said;
                }
                _ => b"250 good\r\n",
            };
            stream.write_all(answer).await.expect("written");
        }
    }

    #[tokio::test]
    async fn a_mail_goes_to_every_address() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("smtp://{}", server.local_addr().expect("it listens"));
        let mail_server = MailServer::new(&url, "ELIAS <elias@example.com>").expect("a mail server");
        let text = MailText { subject: "[ELIAS] errors firing".to_owned(), body: "Über 5 %\n".to_owned() };
        let to = ["a@example.com".to_owned(), "b@example.com".to_owned()];
        let (sent, said) = tokio::join!(mail_server.send(&to, text), take_one(server));
        assert_eq!(sent, Ok(()));
        for wanted in [
            "MAIL FROM:<elias@example.com>",
            "RCPT TO:<a@example.com>",
            "RCPT TO:<b@example.com>",
            "Subject: [ELIAS] errors firing",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(said.contains(wanted), "{wanted} is not in {said}");
        }
    }
}
