//! The owners' check that states this failure, filled in with what was measured.

use sre_space_domain::catalogue::ServiceRules;
use sre_space_domain::proposal::{FileChange, Reproduction};

use super::Order;
use super::gather::Inputs;

/// A check, ready to be carried by the pull request.
pub(super) struct Stated {
    pub(super) change: FileChange,
    pub(super) reproduction: Reproduction,
}

/// The first check that states the order's fault. `None` where the owners prepared none, its template is not there, or it asks
/// for a number that was not measured: a check with a hole in it would prove nothing.
pub(super) fn stated(rules: &ServiceRules, order: &Order, inputs: &Inputs) -> Option<Stated> {
    let check = rules.check_of(order.fault)?;
    let template = inputs.files.get(&check.template)?;
    let numbers = [("{demand}", order.measured.demand), ("{plateau}", order.measured.plateau)];
    let mut text = template.replace("{incident}", order.incident.as_str());
    for (hole, number) in numbers.into_iter().filter(|(hole, _)| template.contains(hole)) {
        text = text.replace(hole, &format!("{:.0}", number.filter(|number| number.is_finite())?.ceil()));
    }
    let file = check.target(&order.incident);
    Some(Stated {
        change: FileChange { path: file.clone(), contents: Some(text) },
        reproduction: Reproduction { check: check.name.clone(), file },
    })
}
