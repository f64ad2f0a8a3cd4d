//! Compiles the web modules, which are the JavaScript half of the web APIs, and loads them by name.

use crate::error::ExceptionText;
use crate::native;
use javy::quickjs::context::intrinsic;
use javy::quickjs::loader::{ImportAttributes, Loader, Resolver};
use javy::quickjs::{Context, Ctx, Error, Module, Result, WriteOptions, module::Declared};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The bytecode of web modules by name, for `import` between them. The application itself is one module: its imports
/// were bundled.
#[derive(Clone)]
pub(crate) struct WebModules(Rc<BTreeMap<String, Vec<u8>>>);

impl WebModules {
    /// Compiles modules, given by name and source. `stack_bytes_max` bounds the compiler's stack.
    ///
    /// # Errors
    /// Which module cannot be compiled, and why.
    pub(crate) fn compile(
        modules: BTreeMap<String, String>,
        stack_bytes_max: usize,
    ) -> std::result::Result<Self, String> {
        let compiled = modules.into_iter().map(|(name, source)| {
            let bytecode = compile_without_source(&name, &source, stack_bytes_max)?;
            Ok((name, bytecode))
        });
        compiled.collect::<std::result::Result<_, String>>().map(|compiled| Self(Rc::new(compiled)))
    }
}

type Attributes<'js> = Option<ImportAttributes<'js>>;

impl Resolver for WebModules {
    fn resolve<'js>(&mut self, _: &Ctx<'js>, base: &str, name: &str, _: Attributes<'js>) -> Result<String> {
        // What an application imports by name is a web module that was loaded before it.
        if let Some(capability) = name.strip_prefix("elias/") {
            return Ok(match capability {
                "forms" => "elias:web/forms/index.js".to_owned(),
                "test" => "elias:web/testing/index.js".to_owned(),
                _ => format!("elias:web/capabilities/{capability}.js"),
            });
        }
        if let Some(builtin) = name.strip_prefix("node:") {
            return Ok(format!("elias:web/node/{builtin}.js"));
        }
        Ok(if name == native::MODULE { name.to_owned() } else { resolve_relative(base, name) })
    }
}

impl Loader for WebModules {
    fn load<'js>(&mut self, ctx: &Ctx<'js>, name: &str, _: Attributes<'js>) -> Result<Module<'js, Declared>> {
        if name == native::MODULE {
            return Module::declare_def::<native::Native, _>(ctx.clone(), name);
        }
        let Some(bytecode) = self.0.get(name) else { return Err(Error::new_loading(name)) };
        // SAFETY: the bytecode was written just now by the same QuickJS.
        unsafe { Module::load(ctx.clone(), bytecode) }
    }
}

/// Bytecode of a web module without its text, which `Function.prototype.toString` would show and every image would
/// carry. It is compiled in a runtime of its own, since a context keeps every module that it ever declared.
fn compile_without_source(name: &str, source: &str, stack_bytes_max: usize) -> std::result::Result<Vec<u8>, String> {
    let fail = |error: Error| format!("compiling {name}: {error}");
    let runtime = javy::quickjs::Runtime::new().map_err(fail)?;
    runtime.set_max_stack_size(stack_bytes_max);
    runtime.set_loader(PlaceholderLoader, PlaceholderLoader);
    let context = Context::custom::<(intrinsic::Eval, intrinsic::RegExpCompiler)>(&runtime).map_err(fail)?;
    context.with(|ctx| {
        let options = WriteOptions { strip_source: true, strip_debug: true, ..WriteOptions::default() };
        let written = Module::declare(ctx.clone(), name, source).and_then(|module| module.write(options));
        written.map_err(|error| ExceptionText::catch(&ctx, &error).message)
    })
}

/// Loads an empty module for each import while a module is compiled, where nothing is linked.
struct PlaceholderLoader;

impl Resolver for PlaceholderLoader {
    fn resolve<'js>(&mut self, _: &Ctx<'js>, _: &str, name: &str, _: Attributes<'js>) -> Result<String> {
        Ok(name.to_owned())
    }
}

impl Loader for PlaceholderLoader {
    fn load<'js>(&mut self, ctx: &Ctx<'js>, name: &str, _: Attributes<'js>) -> Result<Module<'js, Declared>> {
        Module::declare(ctx.clone(), name, "")
    }
}

/// `./b.js` seen from `elias:web/a.js` is `elias:web/b.js`.
fn resolve_relative(base: &str, name: &str) -> String {
    if !name.starts_with('.') {
        return name.to_owned();
    }
    let mut parts: Vec<&str> = base.split('/').collect();
    parts.pop();
    for part in name.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
