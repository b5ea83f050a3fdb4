//! Which struct a call of T_AsStruct is after: C has its name, the API does not.
//!
//! The debug information of the extension tells which T_AsStruct a call is in. A function of a type gets instances of it as `self`,
//! so the struct that it asks for there is the type's. Once the structs of two types are known, asking for that of one with an
//! instance of the other, where neither derives from the other, is a mistake that no shape gives away.

use core::sync::atomic::Ordering::*;
use std::collections::HashMap;

use crate::call::Call;
use crate::hash::{Map, Set};
use crate::kept::Kept;
use crate::known_types;
use crate::slot::{ARGUMENT, Kind, Slot};
use crate::types::Type;
use hpy_layer::place;

/// How often a pair is looked at that nothing is known about.
const PATIENCE: u32 = 100;

#[derive(Default)]
struct Calls {
    /// The struct that each place asks for; none if that can't be told.
    structs: Map<usize, Option<usize>>,
    numbers: HashMap<String, usize>,
    /// By the address of a type: what its own functions ask for.
    of_type: Map<usize, Set<usize>>,
    /// By the number of a struct: the types whose functions ask for it.
    types: Map<usize, Vec<&'static Type>>,
    undecided: Map<usize, u32>,
    /// Whether there is a T_AsStruct of a name.
    helpers: HashMap<String, bool>,
}

static KNOWN: Kept<Calls> = Kept::new();

/// Whether the struct that is asked for at the call's place is, as far as is known, that of the object. Gives its name if not.
#[inline(always)]
pub fn check(call: Call, slot: &Slot, of: &'static Type) -> Option<String> {
    let pair = (call.frame.ip.load(Relaxed), core::ptr::from_ref(of).addr());
    // SAFETY: a call is made on its own thread.
    if unsafe { call.thread.seen.has(pair) } {
        return None;
    }
    let (decided, name) = look(call, slot, of, pair.0);
    if decided && name.is_none() {
        // SAFETY: a call is made on its own thread.
        unsafe { call.thread.seen.add(pair) };
    }
    name
}

#[cold]
fn look(call: Call, slot: &Slot, of: &'static Type, ip: usize) -> (bool, Option<String>) {
    KNOWN.with(|known| look_in(known, call, slot, of, ip))
}

fn look_in(known: &mut Calls, call: Call, slot: &Slot, of: &'static Type, ip: usize) -> (bool, Option<String>) {
    let asked = match known.structs.get(&ip) {
        Some(asked) => *asked,
        None => {
            let asked = struct_at(ip).map(|name| {
                let next = known.numbers.len();
                *known.numbers.entry(name).or_insert(next)
            });
            known.structs.insert(ip, asked);
            asked
        }
    };
    let Some(asked) = asked else { return (true, None) };
    let key = core::ptr::from_ref(of).addr();
    let own = slot.state().kind == Kind::Argument
        && slot.opened().by == ARGUMENT
        && slot.opener.load(Relaxed) == call.caller();
    if own {
        if known.of_type.entry(key).or_default().insert(asked) {
            known.types.entry(asked).or_default().push(of);
        }
        return (true, None);
    }
    if known.of_type.get(&key).is_some_and(|structs| structs.contains(&asked)) {
        return (true, None);
    }
    let related = |other: &&'static Type| of.derives_from(other) || other.derives_from(of);
    let types = known.types.get(&asked).map_or(&[][..], Vec::as_slice);
    let is_related = types.iter().any(related);
    let foreign = !types.is_empty() && !is_related && known.of_type.contains_key(&key);
    if foreign || !is_related && is_foreign_by_name(known, asked, of, ip) {
        let name = known.numbers.iter().find(|(_, number)| **number == asked).map(|(name, _)| name.clone());
        return (true, name);
    }
    let count = known.undecided.entry(ip ^ key).or_default();
    *count += 1;
    (is_related || *count > PATIENCE, None)
}

/// Whether types and structs of the same name tell at first sight that a struct is another type's: the type has one of its own name, and
/// the one that is asked for has the name of a type that is not related.
fn is_foreign_by_name(known: &mut Calls, asked: usize, of: &'static Type, ip: usize) -> bool {
    let Some((name, _)) = known.numbers.iter().find(|(_, number)| **number == asked) else { return false };
    let name = name.split(' ').next().unwrap_or_default();
    let own = of.short_name();
    if name == own || !known_types::is_of_stranger(name, of) {
        return false;
    }
    *known.helpers.entry(own.to_owned()).or_insert_with(|| place::binary_contains(ip, &format!("{own}_AsStruct\0")))
}

/// `Point` where Point_AsStruct is inlined, or in it.
fn struct_at(ip: usize) -> Option<String> {
    let places = place::places(ip);
    let found = places.iter().find_map(|place| {
        let name = place.function.as_ref()?.strip_suffix("_AsStruct")?;
        // The functions of the API have such names as well.
        (!name.starts_with("_HPy") && !name.starts_with("HPyType_")).then(|| format!("{name} {:?}", place.module))
    })?;
    Some(found)
}
