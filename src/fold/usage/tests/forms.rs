//! What lies in the state comes back as it was, and damage to it is told.

use super::*;
use crate::fold::usage::form::{FormError, Reader, Writer, whole};
use crate::fold::usage::part::Part;
use crate::fold::usage::seen::Seen;
use crate::model::fact::{PartUser, UsagePart};

fn number(bytes: &[u8]) -> Result<i64, FormError> {
    whole(bytes, Reader::number)
}

#[test]
fn bytes_of_records_by_hand() {
    let written = |number: i64| {
        let mut out = Writer::new(0);
        out.number(number);
        out.finish()
    };
    assert_eq!(written(0), [2, 0]);
    assert_eq!(written(-1), [2, 1]);
    assert_eq!(written(64), [2, 0x80, 1]);
    assert_eq!(written(i64::MIN), [&[2][..], &[0xff; 9], &[1]].concat());
    assert_eq!(number(&[]), Err(FormError::Short));
    assert_eq!(number(b"{}"), Err(FormError::Form(b'{')), "JSON, which was there before");
    assert_eq!(number(&[2]), Err(FormError::Short));
    assert_eq!(number(&[2, 0x80]), Err(FormError::Short));
    assert_eq!(number(&[2, 0, 0]), Err(FormError::Longer(1)));
    assert_eq!(number(&[&[2][..], &[0xff; 9], &[2]].concat()), Err(FormError::Number));
    assert_eq!(number(&[2; 30]), Err(FormError::Longer(28)));
    assert_eq!(whole(&[2, 2, b'a'], Reader::text), Err(FormError::Short));
    assert_eq!(whole(&[2, 1, 0xff], Reader::text), Err(FormError::Text));
    let huge = [&[2][..], &[0xff; 8], &[1]].concat();
    assert_eq!(
        whole(&huge, |from| from.list(Reader::text)),
        Err(FormError::Short),
        "no room is made for what is not there"
    );
}

#[test]
fn a_part_comes_back_with_its_names() {
    let user = |user: &str, columns: &[(u32, i64)]| PartUser {
        user: user.into(),
        queries: 3,
        failed: 1,
        columns: columns.to_vec(),
    };
    let mut part = UsagePart {
        queries: 5,
        names: vec!["a".into(), "b".into()],
        users: vec![user("ann", &[(0, 2), (1, 1)]), user("bob", &[(1, 3)])],
        sketch: Some("AA".into()),
        columns: [("a".into(), 2)].into(),
        joins: vec![JoinUse { column: "a".into(), other: "x://y".into(), other_column: "b".into(), queries: 2 }],
        ..UsagePart::default()
    };
    let written = |part: &UsagePart| {
        let mut out = Writer::new(0);
        Part::of(part).write(&mut out);
        out.finish()
    };
    let bytes = written(&part);
    let read = whole(&bytes, Part::read).expect("it was written so");
    assert_eq!((read.sums.queries, read.users.names.as_slice()), (5, &["a", "b"][..]));
    let columns = |place: usize| read.users.columns(&read.users.users[place]).collect::<Vec<_>>();
    assert_eq!((columns(0), columns(1)), (vec![(0, 2), (1, 1)], vec![(1, 3)]));
    assert_eq!((read.columns, read.filters), (vec![("a", 2)], vec![]));
    assert_eq!(read.joins, [(("a", "x://y", "b"), 2)]);
    for length in 0..bytes.len() {
        assert!(whole(&bytes[..length], Part::read).is_err(), "{length}");
    }
    part.names.pop();
    assert_eq!(whole(&written(&part), Part::read).err(), Some(FormError::Name(1)));
}

#[test]
fn a_damaged_record_is_named() {
    let mut site = Site::new(1, FoldConfig::default());
    site.fold(&[fact("x", query("1", "ann", 10))], 1);
    let key = query_key(&EntityId::query("snowflake://a", "1"));
    site.states[0].put(key, b"{\"k\":1}".to_vec());
    let richer = fact("x", QueryRun { richness: 9, ..query("1", "ann", 10) });
    let error = site.folder.apply(0, &richer, &mut site.states[0], &mut FoldOutput::default()).expect_err("damaged");
    let expected = "state store: usage record \"query://snowflake:%2F%2Fa/1\\0q\" is unreadable: it is of form 123, not 2: \
                    another version of this program has written it; rebuild the state";
    assert_eq!(error.to_string(), expected);
}

proptest! {
    #[test]
    fn numbers_come_back(signed in any::<i64>(), unsigned in any::<u64>(), text in ".{0,20}", flag in any::<bool>()) {
        let mut out = Writer::new(0);
        out.number(signed);
        out.unsigned(unsigned);
        out.text(&text);
        out.flag(flag);
        let bytes = out.finish();
        let read = |from: &mut Reader<'_>| Ok((from.number()?, from.unsigned()?, from.text()?.to_owned(), from.flag()?));
        prop_assert_eq!(whole(&bytes, read), Ok((signed, unsigned, text, flag)));
    }

    #[test]
    fn what_is_kept_of_a_query_comes_back_whole_or_not_at_all(fact in told(), cut in any::<prop::sample::Index>()) {
        let Some(Statement::Query(query)) = &fact.entries[0].value else { panic!() };
        let seen = Seen::of(&fact, query);
        let mut bytes = seen.write();
        prop_assert_eq!(Seen::read(b"k", &bytes).expect("it was written so"), seen);
        prop_assert!(Seen::read(b"k", &bytes[..cut.index(bytes.len())]).is_err());
        bytes.push(0);
        prop_assert!(Seen::read(b"k", &bytes).is_err());
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..60), form in any::<bool>()) {
        let bytes = if form { [&[2], bytes.as_slice()].concat() } else { bytes };
        let _ = Seen::read(b"k", &bytes);
        let _ = whole(&bytes, Part::read);
    }

    /// Whatever record of the state is damaged in whatever way: the fold goes on with it or says that it cannot.
    #[test]
    fn damage_to_the_state_is_told(
        facts in prop::collection::vec(told(), 1..20),
        record in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        flip in 1..=u8::MAX,
        cut in any::<bool>(),
        users in prop::sample::select(vec![1_usize, 100]),
    ) {
        let config = FoldConfig { usage: UsageLimits { users, ..UsageLimits::default() }, ..FoldConfig::default() };
        let mut site = Site::new(1, config.clone());
        site.fold(&facts, 5);
        let mut state = site.states.remove(0);
        let entries = state.scan(b"").expect("memory is readable");
        let (key, mut value) = record.get(&entries).clone();
        let place = place.index(value.len());
        if cut {
            value.truncate(place);
        } else {
            value[place] ^= flip;
        }
        state.put(key, value);
        let mut folder = Folder::new(config);
        let mut facts = facts;
        for fact in &mut facts {
            let Some(Statement::Query(query)) = &mut fact.entries[0].value else { panic!() };
            query.richness += 2;
        }
        let mut fold = |facts: &[Fact]| -> Result<Vec<Fact>, StateError> {
            let mut out = FoldOutput::default();
            for fact in facts {
                folder.apply(0, fact, &mut state, &mut out)?;
            }
            folder.flush(0, &mut state, &mut out)?;
            Ok(out.forwarded)
        };
        if let Err(error) = fold(&facts).and_then(|usage| fold(&usage)) {
            prop_assert!(error.to_string().contains("rebuild the state"), "{error}");
        }
    }
}
