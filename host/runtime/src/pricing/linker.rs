//! `HostLinker` defines host functions, each with a price.

use super::payload::Payload;
use super::price::{ListedSize, Price};
use super::times::{CallTimes, MeasuredCall, Times, is_measured, measure};
use super::{ArgumentTooLarge, CALL, INLINE_UNITS_MAX};
use crate::instance::{InstanceState, charge};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use wasmtime::component::{
    ComponentNamedList, ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType, Val,
    types::ComponentFunc,
};
use wasmtime::{AsContextMut, Engine, StoreContextMut};

/// Defines the functions of a host, each with its [`Price`]. There is no other way to give a guest a function.
pub struct HostLinker {
    linker: Linker<InstanceState>,
    functions: Vec<HostFunction>,
    /// The functions as another linker has them.
    known: Vec<HostFunction>,
}

/// A function that guests can call, with its price.
#[derive(Debug, Clone)]
pub struct HostFunction {
    name: String,
    call: u64,
    sizes: Vec<ListedSize>,
    can_wait: bool,
    times: Arc<Times>,
}

impl HostFunction {
    /// `PACKAGE/INTERFACE@VERSION#FUNCTION`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Units of fuel of a call, whatever its arguments.
    #[must_use]
    pub fn call(&self) -> u64 {
        self.call
    }

    /// The further parts of the price.
    #[must_use]
    pub fn sizes(&self) -> &[ListedSize] {
        &self.sizes
    }

    /// Whether the guest can be made to wait in it, so that it may take longer than a millisecond.
    #[must_use]
    pub fn can_wait(&self) -> bool {
        self.can_wait
    }

    /// CPU time that its measured calls took so far: all that cost 100 us and more by their price, and a sample of the
    /// others.
    #[must_use]
    pub fn times(&self) -> CallTimes {
        self.times.read()
    }
}

impl fmt::Display for HostFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.name, self.call)?;
        self.sizes.iter().try_for_each(|size| write!(f, " + {size}"))?;
        f.write_str(if self.can_wait { ", can wait" } else { "" })
    }
}

impl HostLinker {
    /// A linker that has nothing.
    pub(crate) fn new(engine: &Engine, known: Vec<HostFunction>) -> Self {
        Self { linker: Linker::new(engine), functions: Vec::new(), known }
    }

    /// An interface, by its whole name: `PACKAGE/INTERFACE@VERSION`.
    ///
    /// # Errors
    /// If the name is taken by something else.
    pub fn interface(&mut self, name: &str) -> wasmtime::Result<Interface<'_>> {
        let instance = self.linker.instance(name)?;
        Ok(Interface { instance, name: name.to_owned(), functions: &mut self.functions, known: &self.known })
    }

    /// The functions that are defined, in the order of their definition.
    #[must_use]
    pub fn functions(&self) -> &[HostFunction] {
        &self.functions
    }

    /// The linker of components, and the list of its functions.
    pub(crate) fn finish(self) -> (Linker<InstanceState>, Vec<HostFunction>) {
        (self.linker, self.functions)
    }
}

/// An interface whose functions are being defined.
pub struct Interface<'a> {
    instance: LinkerInstance<'a, InstanceState>,
    name: String,
    functions: &'a mut Vec<HostFunction>,
    known: &'a [HostFunction],
}

/// The future of an asynchronous host function.
pub type Waiting<'a, R> = Box<dyn Future<Output = wasmtime::Result<R>> + Send + 'a>;

impl Interface<'_> {
    /// Defines a function that is done in one go.
    ///
    /// # Errors
    /// If the price can come to more than [`INLINE_UNITS_MAX`], or the name is taken.
    pub fn func<P, R>(
        &mut self,
        name: &str,
        price: Price<P>,
        body: impl Fn(StoreContextMut<'_, InstanceState>, P) -> wasmtime::Result<R> + Send + Sync + 'static,
    ) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lift + Payload + 'static,
        R: ComponentNamedList + Lower + Payload + Send + 'static,
    {
        let most = price.most();
        wasmtime::ensure!(
            most <= INLINE_UNITS_MAX,
            "{}#{name} can cost {most} units of fuel; a function that is done in one go costs at most \
             {INLINE_UNITS_MAX}: lower \
             its bounds, or define it with func_async and do the work aside",
            self.name
        );
        let function = self.list(name, &price, false);
        self.instance.func_wrap_async(name, move |mut store: StoreContextMut<'_, InstanceState>, arguments: P| {
            let mut due = false;
            let call = || {
                let paid = enter(&mut store, &function, &price, &arguments)?;
                due = paid.due;
                let result = measure(paid.times, || body(store.as_context_mut(), arguments))?;
                due |= charge(&mut store, result.units())?;
                Ok(result)
            };
            let result = call();
            Box::new(done(result, due))
        })
    }

    /// Defines a function that the guest can be made to wait in.
    ///
    /// Work that takes longer than some 100 us of one thread's time must be done
    /// [aside](crate::capability::InstanceInfo::aside), or let others run meanwhile.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn func_async<P, R>(
        &mut self,
        name: &str,
        price: Price<P>,
        body: impl for<'a> Fn(StoreContextMut<'a, InstanceState>, P) -> Waiting<'a, R> + Send + Sync + 'static,
    ) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lift + Payload + Send + 'static,
        R: ComponentNamedList + Lower + Payload + Send + 'static,
    {
        let function = self.list(name, &price, true);
        let shared = Arc::new((function, price, body));
        self.instance.func_wrap_async(name, move |mut store: StoreContextMut<'_, InstanceState>, arguments: P| {
            let shared = Arc::clone(&shared);
            Box::new(async move {
                let (function, price, body) = &*shared;
                let paid = enter(&mut store, function, price, &arguments)?;
                if paid.due {
                    tokio::task::yield_now().await;
                }
                let call = Pin::from(body(store.as_context_mut(), arguments));
                let result = MeasuredCall::new(call, paid.times).await?;
                if charge(&mut store, result.units())? {
                    tokio::task::yield_now().await;
                }
                Ok(result)
            })
        })
    }

    /// Defines a function that reckons something from its arguments alone. Whatever costs more than
    /// [`INLINE_UNITS_MAX`] is done [aside](crate::capability::InstanceInfo::aside), in one part.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn compute<P, R>(
        &mut self,
        name: &str,
        price: Price<P>,
        body: impl Fn(P) -> R + Send + Sync + 'static,
    ) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lift + Payload + Send + 'static,
        R: ComponentType + Lower + Payload + Send + Sync + 'static,
    {
        let function = self.list(name, &price, true);
        let shared = Arc::new((function, price, body));
        self.instance.func_wrap_async(name, move |mut store: StoreContextMut<'_, InstanceState>, arguments: P| {
            let shared = Arc::clone(&shared);
            Box::new(async move {
                let (function, price, body) = &*shared;
                let paid = enter(&mut store, function, price, &arguments)?;
                if paid.due {
                    tokio::task::yield_now().await;
                }
                let result = if paid.units <= INLINE_UNITS_MAX {
                    measure(paid.times, || body(arguments))
                } else {
                    let (shared, mut arguments) = (Arc::clone(&shared), Some(arguments));
                    let work =
                        move || arguments.take().map_or(Poll::Pending, |arguments| Poll::Ready((shared.2)(arguments)));
                    store.data().info().aside(work).await?
                };
                if charge(&mut store, result.units())? {
                    tokio::task::yield_now().await;
                }
                Ok((result,))
            })
        })
    }

    /// Defines a resource; `dropped` is called when a guest drops the handle to one.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn resource<T: 'static>(
        &mut self,
        name: &str,
        dropped: impl Fn(&mut InstanceState, Resource<T>) -> wasmtime::Result<()> + Send + Sync + 'static,
    ) -> wasmtime::Result<()> {
        let function = self.list(&format!("[drop]{name}"), &Price::<()>::call(), false);
        self.instance.resource_async(name, ResourceType::host::<T>(), move |mut store, handle| {
            let mut due = false;
            let mut call = || {
                due = charge(&mut store, CALL)?;
                measure(function.measured(CALL), || dropped(store.data_mut(), Resource::new_own(handle)))
            };
            let result = call();
            Box::new(done(result, due))
        })
    }

    /// Like [`Self::resource`], for a resource whose drop may have to wait.
    ///
    /// # Errors
    /// If the name is taken.
    pub(crate) fn resource_async<T: 'static>(
        &mut self,
        name: &str,
        dropped: impl for<'a> Fn(&'a mut InstanceState, Resource<T>) -> Waiting<'a, ()> + Send + Sync + 'static,
    ) -> wasmtime::Result<()> {
        let function = self.list(&format!("[drop]{name}"), &Price::<()>::call(), true);
        let shared = Arc::new((function, dropped));
        self.instance.resource_async(name, ResourceType::host::<T>(), move |mut store, handle| {
            let shared = Arc::clone(&shared);
            Box::new(async move {
                let (function, dropped) = &*shared;
                if charge(&mut store, CALL)? {
                    tokio::task::yield_now().await;
                }
                let call = Pin::from(dropped(store.data_mut(), Resource::new_own(handle)));
                MeasuredCall::new(call, function.measured(CALL)).await
            })
        })
    }

    /// Defines a function of an interface that components may import but that gives them nothing. `answer` makes the
    /// result; without it, the call ends the guest. The arguments are ignored.
    ///
    /// # Errors
    /// If the name is taken.
    pub(crate) fn absent(&mut self, name: &str, answer: Option<fn() -> Val>) -> wasmtime::Result<()> {
        let function: Arc<str> = self.list(name, &Price::<()>::call(), false).name.into();
        self.instance.func_new_async(
            name,
            move |mut store: StoreContextMut<'_, InstanceState>, _: ComponentFunc, _: &[Val], results: &mut [Val]| {
                let function = Arc::clone(&function);
                Box::new(async move {
                    if charge(&mut store, CALL)? {
                        tokio::task::yield_now().await;
                    }
                    match (answer, results) {
                        (Some(answer), [result]) => *result = answer(),
                        _ => wasmtime::bail!("{function} is not provided by this host"),
                    }
                    Ok(())
                })
            },
        )
    }

    /// Enters a function into the list.
    fn list<P>(&mut self, name: &str, price: &Price<P>, can_wait: bool) -> LinkedFunction {
        let name = format!("{}#{name}", self.name);
        let (call, sizes) = price.listed();
        let known = self.known.iter().find(|function| function.name == name);
        let times = known.map_or_else(Arc::default, |known| Arc::clone(&known.times));
        self.functions.push(HostFunction { name: name.clone(), call, sizes, can_wait, times: Arc::clone(&times) });
        LinkedFunction { name, times }
    }
}

/// A function of the list, as its calls know it.
struct LinkedFunction {
    name: String,
    times: Arc<Times>,
}

impl LinkedFunction {
    /// Where what a call takes is recorded, if one of this price is measured.
    fn measured(&self, units: u64) -> Option<&Times> {
        is_measured(units).then_some(&*self.times)
    }
}

/// A call whose price is paid.
struct PaidCall<'a> {
    units: u64,
    /// Whether others are to be let run.
    due: bool,
    /// Where what it takes is recorded, if it is measured.
    times: Option<&'a Times>,
}

/// Takes the price of a call whose arguments were lifted.
fn enter<'a, P: Payload>(
    store: &mut StoreContextMut<'_, InstanceState>,
    function: &'a LinkedFunction,
    price: &Price<P>,
    arguments: &P,
) -> wasmtime::Result<PaidCall<'a>> {
    let units = price.reckon(store.data_mut(), arguments);
    let units = units.map_err(|error| ArgumentTooLarge { function: function.name.clone(), ..error })?;
    let due = charge(store, units.saturating_add(arguments.units()))?;
    Ok(PaidCall { units, due, times: function.measured(units) })
}

/// The end of a function that did its work in one go, before which others are let run if it is `due`.
fn done<R>(result: wasmtime::Result<R>, due: bool) -> impl Future<Output = wasmtime::Result<R>> {
    let (mut result, mut yields) = (Some(result), due);
    std::future::poll_fn(move |cx| {
        if std::mem::take(&mut yields) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(result.take().unwrap_or_else(|| Err(wasmtime::format_err!("it was done already"))))
    })
}
