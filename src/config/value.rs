//! Values as people write them: durations, sizes, addresses, URLs.

use std::time::Duration;

/// `30s`, `25ms`, `2m`, `1h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text);
    let amount: u64 = number.parse().map_err(|_| format!("{text:?} is no duration; write 30s, 25ms or 2m"))?;
    let millis = match unit {
        "ms" => Some(amount),
        "s" => amount.checked_mul(1_000),
        "m" => amount.checked_mul(60_000),
        "h" => amount.checked_mul(3_600_000),
        _ => return Err(format!("{text:?} needs a unit: ms, s, m or h")),
    };
    millis.map(Duration::from_millis).ok_or_else(|| format!("{text:?} is too long"))
}

/// `8MiB`, `512 KiB`, `1GiB` or plain bytes.
pub fn bytes(text: &str) -> Result<usize, String> {
    let (number, unit) = split_unit(text);
    let amount: usize = number.parse().map_err(|_| format!("{text:?} is no size; write 8MiB, 512KiB or bytes"))?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" | "k" => 1 << 10,
        "mib" | "m" => 1 << 20,
        "gib" | "g" => 1 << 30,
        _ => return Err(format!("{text:?} has an unknown unit; use KiB, MiB or GiB")),
    };
    amount.checked_mul(factor).filter(|size| *size > 0).ok_or_else(|| format!("{text:?} is out of range"))
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim())
}

/// `host:port`; port 0 asks the system for a free one.
pub fn listen(text: &str) -> Result<String, String> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(format!("{text:?} is no address; write host:port, such as 127.0.0.1:8080"));
    };
    if host.is_empty() || port.parse::<u16>().is_err() {
        return Err(format!("{text:?} is no address; write host:port, such as 127.0.0.1:8080"));
    }
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return Err(format!("{text:?}: write an IPv6 host in brackets, such as [::1]:8080"));
    }
    Ok(text.to_owned())
}

/// An HTTP URL without credentials, without a slash at its end.
pub fn http_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let Some(rest) = rest.filter(|rest| !rest.is_empty() && !rest.starts_with('/')) else {
        return Err(format!("{:?} is no http:// or https:// URL", without_password(text)));
    };
    if rest.split('/').next().unwrap_or_default().contains('@') {
        return Err("credentials do not belong into this URL; they have settings of their own".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A Postgres URL. The message never repeats it, since it may hold a password.
pub fn database_url(text: &str) -> Result<(), String> {
    let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
    match rest {
        Some(rest) if !rest.is_empty() => Ok(()),
        _ => Err("it is no postgres:// URL; write postgres://user@host:5432/database".to_owned()),
    }
}

/// Where user information starts and ends in a URL.
fn user_info(url: &str) -> Option<(usize, usize)> {
    let start = url.find("://")? + 3;
    let rest = url.get(start..)?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let end = authority.rfind('@')?;
    Some((start, start + end))
}

/// The URL with its password replaced by `***`, also where it stands in the query.
pub fn without_password(url: &str) -> String {
    let mut shown = url.to_owned();
    if let Some((start, end)) = user_info(url)
        && let Some(colon) = url.get(start..end).and_then(|info| info.find(':'))
    {
        shown.replace_range(start + colon + 1..end, "***");
    }
    if let Some((before, query)) = shown.clone().split_once('?') {
        let parameters: Vec<String> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, _)) if name.to_ascii_lowercase().contains("password") => format!("{name}=***"),
                _ => pair.to_owned(),
            })
            .collect();
        shown = format!("{before}?{}", parameters.join("&"));
    }
    shown
}

/// The URL with this password, or `None` if it already has one or names no user.
pub fn with_password(url: &str, password: &str) -> Option<String> {
    let (start, end) = user_info(url)?;
    if url.get(start..end)?.contains(':') {
        return None;
    }
    let mut encoded = String::new();
    for byte in password.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    Some(format!("{}:{encoded}{}", url.get(..end)?, url.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("25 ms"), Ok(Duration::from_millis(25)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(duration("30").unwrap_err().contains("needs a unit"));
        assert!(duration("soon").is_err() && duration("").is_err() && duration("-1s").is_err());
        assert!(duration("99999999999999999999h").is_err() && duration("9999999999999999999h").is_err());
        assert_eq!(bytes("8MiB"), Ok(8 << 20));
        assert_eq!(bytes("512 KiB"), Ok(512 << 10));
        assert_eq!(bytes("1000"), Ok(1000));
        assert!(bytes("8MB").unwrap_err().contains("unknown unit"));
        assert!(bytes("0").is_err() && bytes("99999999999999GiB").is_err());
    }

    #[test]
    fn addresses_and_urls() {
        assert!(listen("127.0.0.1:8080").is_ok() && listen("localhost:0").is_ok() && listen("[::1]:8080").is_ok());
        assert!(
            listen("8080").is_err() && listen(":8080").is_err() && listen("a:b").is_err() && listen("::1:80").is_err()
        );
        assert_eq!(http_url("http://host:8081/").as_deref(), Ok("http://host:8081"));
        assert!(http_url("host:8081").is_err() && http_url("http://").is_err());
        let refused = http_url("http://user:hunter2@host").unwrap_err();
        assert!(refused.contains("credentials") && !refused.contains("hunter2"));
        assert!(database_url("mysql://u:hunter2@h/d").is_err_and(|message| !message.contains("hunter2")));
    }

    #[test]
    fn passwords_are_hidden_and_put_in() {
        assert_eq!(without_password("postgres://u:p@h:5432/d"), "postgres://u:***@h:5432/d");
        assert_eq!(without_password("postgres://u:p:q@r@h/d"), "postgres://u:***@h/d");
        assert_eq!(without_password("postgres://h/d?user=u&password=p&a=b"), "postgres://h/d?user=u&password=***&a=b");
        assert_eq!(without_password("postgres://u@h/d"), "postgres://u@h/d");
        assert_eq!(with_password("postgres://u@h/d", "a b/@").as_deref(), Some("postgres://u:a%20b%2F%40@h/d"));
        assert_eq!(with_password("postgres://u:p@h/d", "x"), None);
        assert_eq!(with_password("postgres://h/d", "x"), None);
    }
}
