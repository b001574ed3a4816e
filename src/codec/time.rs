//! Timestamps as producers write them: RFC 3339, and what comes close to it.

use chrono::{NaiveDate, NaiveTime};

/// Microseconds since the epoch of `YYYY-MM-DDThh:mm[:ss[.fraction]][zone]`. A missing zone means UTC, since that is
/// what the producers that omit it run in; digits beyond microseconds are cut. `None` if it is no date-time.
pub fn parse_micros(text: &str) -> Option<i64> {
    let text = text.trim();
    // Java appends the zone's name: 2026-01-31T12:00:00+01:00[Europe/Berlin].
    let text = text.split_once('[').map_or(text, |(instant, _)| instant);
    let (date, rest) = text.split_at_checked(10)?;
    let date = date_of(date)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-', ' ']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at_checked(zone_at)?;
    let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, ""));
    let seconds = seconds_of_day(clock)?;
    if fraction.len() > 18 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    let micros = digits.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0'));
    let midnight = date.and_time(NaiveTime::MIN).and_utc().timestamp();
    let instant = midnight.checked_add(seconds)?.checked_sub(offset_seconds(zone.trim())?)?;
    instant.checked_mul(1_000_000)?.checked_add(micros)
}

fn date_of(text: &str) -> Option<NaiveDate> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, two_digits(parts.next()?)?, two_digits(parts.next()?)?);
    let is_year = year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit()) && parts.next().is_none();
    let year = if is_year { year.parse().ok()? } else { return None };
    NaiveDate::from_ymd_opt(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?)
}

fn seconds_of_day(clock: &str) -> Option<i64> {
    let mut parts = clock.split(':');
    let (hour, minute) = (two_digits(parts.next()?)?, two_digits(parts.next()?)?);
    let second = parts.next().map_or(Some(0), two_digits)?;
    // 60 is a leap second.
    let in_range = hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
    in_range.then_some(hour * 3600 + minute * 60 + second)
}

fn offset_seconds(zone: &str) -> Option<i64> {
    let (sign, rest) = match zone {
        "" | "Z" | "z" | "UTC" | "GMT" => return Some(0),
        _ if zone.bytes().all(|b| b.is_ascii_uppercase()) => return Some(hours_of(zone)? * 3600),
        _ => match zone.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        },
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some(parts) => parts,
        None if rest.len() == 4 => rest.split_at_checked(2)?,
        None => (rest, "00"),
    };
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Zones by abbreviation, as servers write them into logs; only those that mean one thing wherever they are used. `CST`
/// and `IST` are zones of America and China, of India and Israel.
fn hours_of(abbreviation: &str) -> Option<i64> {
    Some(match abbreviation {
        "WET" => 0,
        "BST" | "CET" | "MEZ" | "WEST" => 1,
        "CEST" | "EET" | "MESZ" | "SAST" => 2,
        "EEST" | "MSK" => 3,
        "JST" | "KST" => 9,
        "AEST" => 10,
        "AEDT" => 11,
        "NZST" => 12,
        "NZDT" => 13,
        "EDT" => -4,
        "CDT" | "EST" => -5,
        "MDT" => -6,
        "MST" | "PDT" => -7,
        "AKDT" | "PST" => -8,
        "AKST" => -9,
        "HST" => -10,
        _ => return None,
    })
}

fn two_digits(text: &str) -> Option<i64> {
    (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::parse_micros;

    #[test]
    fn timestamps_of_all_producers_are_read() {
        // 2026-11-21T06:17:05Z is 1_795_241_825 s after the epoch.
        let base = 1_795_241_825_000_000;
        for (text, micros) in [
            ("2026-11-21T06:17:05Z", base),
            ("2026-11-21T06:17:05.6Z", base + 600_000),
            ("2026-11-21T06:17:05.656Z", base + 656_000),
            ("2026-11-21T06:17:05.656123Z", base + 656_123),
            ("2026-11-21T06:17:05.656123999Z", base + 656_123),
            ("2026-11-21T06:17:05.656123+00:00", base + 656_123),
            ("2026-11-21T16:17:05+10:00", base),
            ("2026-11-21T01:47:05-0430", base),
            ("2026-11-21T07:17:05+01:00[Europe/Berlin]", base),
            ("2026-11-21T06:17:05", base),
            ("2026-11-21T06:17:05.656123", base + 656_123),
            ("2026-11-21 06:17:05", base),
            ("2026-11-21 06:17:05.656 UTC", base + 656_000),
            ("2026-11-21 07:17:05 CET", base),
            ("2026-11-20 22:17:05.000 -0800", base),
            ("2026-11-20 22:17:05 PST", base),
            ("2026-11-21T06:17Z", base - 5_000_000),
            ("1969-12-31T23:59:59.5Z", -500_000),
        ] {
            assert_eq!(parse_micros(text), Some(micros), "{text}");
        }
        for text in [
            "",
            "2026-11-21",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-11-21T24:00:00Z",
            "now",
            "2026-11-21T06:17:05.x",
            "2026-11-21T06:17:05+99:00",
            "2026-11-21T06:17:05Y",
            "2026-11-21 06:17:05 CST",
            "202-11-021T06:17:05Z",
            "+026-11-21T06:17:05Z",
            "20é6-11-21T06:17:05Z",
            "1795241825000",
        ] {
            assert_eq!(parse_micros(text), None, "{text}");
        }
    }
}
