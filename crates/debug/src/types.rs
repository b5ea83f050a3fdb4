//! Types of extensions: their structs.

use hpy_abi::HPyType_BuiltinShape;

/// A type made from a spec. Never freed.
#[derive(PartialEq, Eq, Hash)]
pub struct Type {
    pub name: String,
    /// Of the struct, 0 if it is the base's.
    pub size: usize,
    /// What the bases' structs take of it.
    pub base_size: usize,
    pub shape: HPyType_BuiltinShape,
    pub base: Option<&'static Type>,
    /// Where it has HPyMember_OBJECT attributes.
    pub members: Vec<usize>,
    /// It or a base has a tp_traverse.
    pub is_visited: bool,
    /// Its instances' fields are followed: it has a tp_traverse that goes through us, and we are told when an instance goes.
    pub followed: bool,
    /// In the pool, of its own functions.
    pub place: Option<usize>,
}

impl Type {
    /// Its name, without the module.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }

    /// Whether it is `other`, or one of its bases is.
    pub fn derives_from(&self, other: &Type) -> bool {
        core::ptr::eq(self, other) || self.base.is_some_and(|base| base.derives_from(other))
    }

    /// The type or the nearest of its bases that has this place in the pool.
    pub fn at(&'static self, place: usize) -> Option<&'static Type> {
        if self.place == Some(place) { Some(self) } else { self.base?.at(place) }
    }
}
