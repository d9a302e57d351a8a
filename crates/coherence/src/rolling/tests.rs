//! The rolling window against the same statistics of the samples it holds.

use proptest::prelude::*;

use super::*;
use crate::robust::{TUKEY, quantile};

#[test]
fn the_oldest_sample_goes_when_the_window_is_full() {
    let mut rolling = Rolling::new(3).expect("a window");
    for value in [5.0, 1.0, 3.0, 1.0, 9.0] {
        rolling.add(value).expect("a finite value");
    }
    assert_eq!(
        (rolling.iter().collect::<Vec<_>>(), rolling.sorted()),
        (vec![3.0, 1.0, 9.0], [1.0, 3.0, 9.0].as_slice())
    );
    assert!(rolling.is_full() && !rolling.is_empty() && rolling.len() == 3);
    assert_eq!(rolling.robust(), Ok(Robust { median: 3.0, mad: 2.0 }));
}

#[test]
fn what_cannot_be_known_is_named() {
    assert_eq!(
        (Rolling::new(0), Rolling::new(LONGEST + 1)),
        (Err(Undefined::BadArgument), Err(Undefined::BadArgument))
    );
    let mut rolling = Rolling::new(4).expect("a window");
    let none = Undefined::TooFew { has: 0, needs: 1 };
    assert_eq!((rolling.robust(), rolling.quantile(0.5), rolling.fences(TUKEY)), (Err(none), Err(none), Err(none)));
    assert_eq!(
        (rolling.quantile(1.1), rolling.fences(f64::NAN)),
        (Err(Undefined::BadArgument), Err(Undefined::BadArgument))
    );
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!((rolling.add(bad), rolling.len()), (Err(Undefined::NotFinite), 0));
    }
    for value in [f64::MAX, f64::MIN, f64::MAX, f64::MIN] {
        rolling.add(value).expect("a finite value");
    }
    assert_eq!(
        (rolling.robust().map(|robust| robust.median), rolling.fences(TUKEY)),
        (Ok(0.0), Err(Undefined::TooLarge))
    );
}

proptest! {
    #[test]
    fn streaming_equals_batch(
        values in prop::collection::vec(prop_oneof![-1e6_f64..1e6, (-3_i8..3).prop_map(f64::from)], 1..300),
        window in 1_usize..60, share in 0.0_f64..=1.0
    ) {
        let mut rolling = Rolling::new(window).expect("a window");
        for (at, value) in values.iter().enumerate() {
            rolling.add(*value).expect("a finite value");
            let held = &values[(at + 1).saturating_sub(window)..=at];
            let (ours, batch) = (rolling.robust().expect("a median"), Robust::of(held).expect("a median"));
            prop_assert!((ours.median - batch.median).abs() < 1e-9 && (ours.mad - batch.mad).abs() < 1e-9, "{ours:?} {batch:?}");
            prop_assert_eq!(rolling.fences(TUKEY), Fences::of(held, TUKEY));
            prop_assert_eq!(rolling.quantile(share), quantile(held, share));
        }
    }
}
