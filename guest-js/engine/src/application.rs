//! The application: the implementations that its module registers while it is evaluated, and the component's own, which
//! is its default export or one of these.

use javy::quickjs::{Ctx, Exception, Object, Persistent, Result};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Implementations by their numbers, from 1.
pub(crate) type Implementations = BTreeMap<usize, Persistent<Object<'static>>>;

struct Application {
    /// The component's name, while the module runs.
    name: RefCell<String>,
    /// The handlers that the forms made: `ELIAS.createComponent` and its kin.
    made: RefCell<Implementations>,
    /// The component's implementation (its default export), once the module was evaluated.
    implementation: RefCell<Option<Persistent<Object<'static>>>>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Application {}

static APPLICATION: Application = Application {
    name: RefCell::new(String::new()),
    made: RefCell::new(BTreeMap::new()),
    implementation: RefCell::new(None),
};

/// Adds the implementation with this number, from 1, that one of the forms made. It takes the place of a default
/// export.
pub(crate) fn add_implementation<'js>(ctx: Ctx<'js>, implementation: Object<'js>, number: usize) {
    APPLICATION.made.borrow_mut().insert(number, Persistent::save(&ctx, implementation));
}

/// The implementations that the forms made, which are not kept.
pub(crate) fn take_implementations() -> Implementations {
    APPLICATION.made.take()
}

/// Sets the component's implementation: its default export, or what a form made in its place.
pub(crate) fn set_implementation<'js>(ctx: &Ctx<'js>, implementation: &Object<'js>) {
    APPLICATION.implementation.replace(Some(Persistent::save(ctx, implementation.clone())));
}

/// The component's implementation: the object with its handlers.
pub(crate) fn implementation<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    match APPLICATION.implementation.borrow().clone() {
        Some(application) => application.restore(ctx),
        None => Err(Exception::throw_internal(ctx, "no application was loaded")),
    }
}

/// Sets the component's name for as long as its module runs; it is empty before and after.
pub(crate) fn set_name(name: String) {
    APPLICATION.name.replace(name);
}

/// The component's name, as package.json has it; nothing once it runs.
pub(crate) fn name() -> Option<String> {
    Some(APPLICATION.name.borrow().clone()).filter(|name| !name.is_empty())
}
