//! When a TLS certificate expires.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::time::UNIX_EPOCH;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
/// Certificates of a chain that are looked at.
const CERTIFICATES_MAX: usize = 20;

/// Tags of the values before the validity of a certificate, and of its times (X.690, 8.1.2).
const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When the first certificate of a chain in PEM expires, in milliseconds since 1970; `None` if there is none, or one
/// cannot be read.
#[must_use]
pub fn certificate_expiry_ms(pem: &str) -> Option<i64> {
    let chain = pem.split(BEGIN).skip(1).take(CERTIFICATES_MAX);
    let expiries = chain.map(|text| {
        let encoded: String = text.split(END).next()?.split_ascii_whitespace().collect();
        expiry_ms(&STANDARD.decode(encoded).ok()?)
    });
    expiries.collect::<Option<Vec<_>>>()?.into_iter().min()
}

/// The end of the validity of a certificate (RFC 5280, 4.1).
fn expiry_ms(der: &[u8]) -> Option<i64> {
    let (certificate, _) = value(der, SEQUENCE)?;
    let (mut fields, _) = value(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = value(fields, VERSION)?.1;
    }
    // The serial number, the algorithm of the signature and the issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        fields = value(fields, tag)?.1;
    }
    let (validity, _) = value(fields, SEQUENCE)?;
    let (_, after) = time(validity)?;
    Some(time(after)?.0)
}

/// The content of the value at the beginning, which has to have this tag, and what follows it.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let rest = der.strip_prefix(&[tag])?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        // Four bytes are more than a certificate has.
        let bytes = usize::from(length & 0x7f);
        let (length, rest) = rest.split_at_checked(bytes).filter(|_| (1..=4).contains(&bytes))?;
        (length.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
    };
    rest.split_at_checked(length)
}

/// The time at the beginning, in milliseconds since 1970, and what follows it.
fn time(der: &[u8]) -> Option<(i64, &[u8])> {
    let tag = *der.first()?;
    let (text, rest) = value(der, tag)?;
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    let (year, text) = match tag {
        UTC_TIME => {
            let (year, text) = text.split_at_checked(2)?;
            let century = if year.parse::<u8>().ok()? < 50 { "20" } else { "19" };
            (format!("{century}{year}"), text)
        }
        GENERALIZED_TIME => {
            let (year, text) = text.split_at_checked(4)?;
            (year.to_owned(), text)
        }
        _ => return None,
    };
    let text = text.strip_suffix('Z').filter(|text| text.len() == 10)?;
    let part = |at: usize| &text[at..at + 2];
    let date = format!("{year}-{}-{}T{}:{}:{}Z", part(0), part(2), part(4), part(6), part(8));
    let since = humantime::parse_rfc3339(&date).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((i64::try_from(since.as_millis()).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Until 2027-11-30 05:29:42 UTC, which is a UTCTime.
    const FIRST: &str = "-----BEGIN CERTIFICATE-----
MIIBPDCB76ADAgECAhQXNRxoJ7C9WozMifAoPjNW/x8wpTAFBgMrZXAwFDESMBAG
A1UEAwwJYS5leGFtcGxlMB4XDTI2MTEzMDA1Mjk0MloXDTI3MTEzMDA1Mjk0Mlow
FDESMBAGA1UEAwwJYS5leGFtcGxlMCowBQYDK2VwAyEADQaOv/lET0vmyWG6n9gf
T2RNfyTFdFUf92JeOwaR83CjUzBRMB0GA1UdDgQWBBRJk0KShCobvjMJ3eqtj92v
sOAbqTAfBgNVHSMEGDAWgBRJk0KShCobvjMJ3eqtj92vsOAbqTAPBgNVHRMBAf8E
BTADAQH/MAUGAytlcANBANOjaGzsiqxUO613J3ExM2rAkT3lEcHofJneDm5N0cCM
aODN6J/5AaLtQTqj2jTqluhM8VHo8kLF37d++yVVBQM=
-----END CERTIFICATE-----
";
    /// Until 2081-09-02 05:29:42 UTC, which is a GeneralizedTime.
    const SECOND: &str = "-----BEGIN CERTIFICATE-----
MIIBPjCB8aADAgECAhRtqaPyTZI0wif7E9velfE2wn2gtTAFBgMrZXAwFDESMBAG
A1UEAwwJYi5leGFtcGxlMCAXDTI2MTEzMDA1Mjk0MloYDzIwODEwOTAyMDUyOTQy
WjAUMRIwEAYDVQQDDAliLmV4YW1wbGUwKjAFBgMrZXADIQAxFLtu18ayogPCLsUs
flPt4Qr2TDgtGQRNBxPxzRb56qNTMFEwHQYDVR0OBBYEFC32BDpiH9t5RH/HEok3
9h4AvWrDMB8GA1UdIwQYMBaAFC32BDpiH9t5RH/HEok39h4AvWrDMA8GA1UdEwEB
/wQFMAMBAf8wBQYDK2VwA0EAZeX0Iq5sZlpswrqgqPQlh+EVxabzfYPjkCcRgfh0
py56BxcZw7BG3etSov0HdPXEtq28l+FbV2J7F3yae9l4BA==
-----END CERTIFICATE-----
";

    const FIRST_MS: i64 = 1_827_552_582_000;
    const SECOND_MS: i64 = 3_524_016_582_000;

    #[test]
    fn the_first_end_of_a_chain_counts() {
        assert_eq!(certificate_expiry_ms(FIRST), Some(FIRST_MS));
        assert_eq!(certificate_expiry_ms(SECOND), Some(SECOND_MS));
        assert_eq!(certificate_expiry_ms(&format!("{SECOND}{FIRST}")), Some(FIRST_MS));
        let chain = |before: usize| certificate_expiry_ms(&format!("{}{FIRST}", SECOND.repeat(before)));
        assert_eq!(chain(CERTIFICATES_MAX - 1), Some(FIRST_MS));
        assert_eq!(chain(CERTIFICATES_MAX), Some(SECOND_MS), "further ones are not looked at");
    }

    #[test]
    fn damaged_certificates_have_no_end() {
        assert_eq!(certificate_expiry_ms(""), None);
        assert_eq!(certificate_expiry_ms("-----BEGIN CERTIFICATE-----"), None);
        let encoded: String = FIRST.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(encoded).expect("Base64");
        assert_eq!(expiry_ms(&der), Some(FIRST_MS));
        for length in 0..der.len() {
            assert_eq!(expiry_ms(&der[..length]), None, "the first {length} bytes");
        }
        // Whatever a byte is: there is a time or none, and never a panic.
        for at in 0..der.len() {
            for byte in [0, 1, 0x7f, 0x80, 0x84, 0xff] {
                let mut damaged = der.clone();
                damaged[at] = byte;
                let _ = expiry_ms(&damaged);
            }
        }
    }
}
