//! Whether a group's members own all partitions between them.

/// How many partitions a member owns, from its assignment in the consumer protocol: a version, topics with their
/// partitions, and bytes of the assignor, which do not matter here
/// (<https://kafka.apache.org/protocol.html>, ConsumerProtocolAssignment).
///
/// `None` where the bytes are of another form.
pub(super) fn owned(assignment: &[u8]) -> Option<usize> {
    if assignment.is_empty() {
        return Some(0);
    }
    let (_version, mut rest) = assignment.split_at_checked(2)?;
    let mut owned = 0;
    for _ in 0..length(&mut rest, i32::from_be_bytes)? {
        let name = length(&mut rest, i16::from_be_bytes)?;
        rest = rest.get(name..)?;
        let partitions = length(&mut rest, i32::from_be_bytes)?;
        rest = rest.get(partitions.checked_mul(4)?..)?;
        owned += partitions;
    }
    Some(owned)
}

fn length<const N: usize, T>(rest: &mut &[u8], read: fn([u8; N]) -> T) -> Option<usize>
where
    usize: TryFrom<T>,
{
    let (bytes, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    usize::try_from(read(*bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_counted_over_all_topics_and_cut_bytes_are_no_answer() {
        let mut bytes = vec![0, 1, 0, 0, 0, 2];
        bytes.extend([0, 1, b'a', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3]);
        bytes.extend([0, 2, b'b', b'c', 0, 0, 0, 1, 0, 0, 0, 7]);
        bytes.extend([0xff, 0xff, 0xff, 0xff]);
        assert_eq!(owned(&bytes), Some(3));
        assert_eq!(owned(&[]), Some(0), "a member that joins owns nothing yet");
        assert_eq!(owned(&[0, 1, 0, 0, 0, 0]), Some(0));
        for cut in 1..bytes.len() - 4 {
            assert_eq!(owned(&bytes[..cut]), None, "cut at {cut}");
        }
    }
}
