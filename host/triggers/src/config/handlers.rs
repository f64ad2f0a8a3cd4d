//! Whether a component has the handlers and the classes of workers that its triggers need, and the triggers that its
//! handlers need.

use super::TriggersConfig;
use super::error::InvalidTrigger;

impl TriggersConfig {
    /// Checks that the triggers of a component fit its handlers and its classes of service workers, both as its
    /// manifest has them. Jobs need no table.
    ///
    /// # Errors
    /// [`InvalidTrigger`] for a trigger without its handler or class, or a handler that nothing would ever run, with
    /// the lines to add.
    pub fn check_handlers(&self, handlers: &[String], classes: &[String]) -> Result<(), InvalidTrigger> {
        self.check_classes(classes)?;
        let has = |name: &str| handlers.iter().any(|handler| handler == name);
        // Workers take theirs without a handler.
        let is_scheduled = self.schedule.iter().any(|schedule| schedule.worker.is_none());
        let mut events = self.event.iter().filter(|subscription| subscription.worker.is_none());
        let takes_batches = events.clone().any(|subscription| subscription.batch.size > 1);
        let takes_one = events.any(|subscription| subscription.batch.size == 1);
        for (key, is_there, handler) in [
            ("triggers.schedule", is_scheduled, "scheduled"),
            ("triggers.event", takes_one, "event"),
            ("triggers.event with `batch`", takes_batches, "events"),
            ("triggers.jobs", !self.jobs.is_empty(), "job"),
        ] {
            if is_there && !has(handler) {
                let what = format!(
                    "needs the handler `{handler}`: add it to the component, as in export default {{ async \
                     {handler}() {{ }} }}, or remove the table"
                );
                return Err(InvalidTrigger::new(key, what));
            }
        }
        for (key, is_there, handler, lines) in [
            ("triggers.schedule", is_scheduled, "scheduled", "name = \"nightly\", cron = \"0 3 * * *\""),
            ("triggers.event", takes_one, "event", "type = \"order.*\""),
            ("triggers.event", takes_batches, "events", "type = \"order.*\", batch = 10"),
        ] {
            if !is_there && has(handler) {
                let what = format!(
                    "is missing: the component has the handler `{handler}`, which nothing would run; add to \
                     elias.toml: [[{key}]] with {lines}"
                );
                return Err(InvalidTrigger::new(key, what));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_and_handlers_go_together() {
        let triggers = |text: &str| toml::from_str::<TriggersConfig>(text).expect(text);
        let schedule = "[[schedule]]\nname = \"nightly\"\ncron = \"0 3 * * *\"\n";
        for (text, handlers, refused) in [
            ("", vec!["fetch", "job"], None),
            (schedule, vec!["scheduled"], None),
            ("[[event]]\ntype = \"a\"\n[jobs.a]\n", vec!["event", "job"], None),
            (schedule, vec!["fetch"], Some("triggers.schedule needs the handler `scheduled`")),
            ("", vec!["scheduled"], Some("[[triggers.schedule]] with name")),
            ("[[event]]\ntype = \"a\"\n", vec![], Some("triggers.event needs the handler `event`")),
            ("", vec!["event"], Some("[[triggers.event]] with type")),
            ("[[event]]\ntype = \"a\"\nbatch = 2\n", vec!["events"], None),
            ("[[event]]\ntype = \"a\"\nbatch = 2\n", vec!["event"], Some("needs the handler `events`")),
            ("[[event]]\ntype = \"a\"\n", vec!["event", "events"], Some("batch = 10")),
            ("[jobs.resize]\n", vec!["event"], Some("triggers.jobs needs the handler `job`")),
        ] {
            let handlers: Vec<_> = handlers.into_iter().map(str::to_owned).collect();
            let error = triggers(text).check_handlers(&handlers, &[]).err().map(|error| error.to_string());
            match refused {
                None => assert_eq!(error, None, "{text} {handlers:?}"),
                Some(part) => assert!(error.as_deref().is_some_and(|error| error.contains(part)), "{error:?}"),
            }
        }
    }

    #[test]
    fn workers_take_triggers_without_a_handler_and_have_to_be_exported() {
        let worker = "worker = { class = \"Cart\", name = \"a\" }\n";
        let text = format!(
            "[[schedule]]\nname = \"a\"\nevery = \"1m\"\n[[schedule]]\nname = \"b\"\nevery = \"1m\"\n{worker}\
             [[event]]\ntype = \"a\"\n{worker}"
        );
        let triggers: TriggersConfig = toml::from_str(&text).expect(&text);
        assert_eq!(triggers.check(), Ok(()));
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let check = |handlers: &[&str], classes: &[&str]| triggers.check_handlers(&owned(handlers), &owned(classes));
        assert_eq!(check(&["scheduled"], &["Cart", "Stock"]), Ok(()));
        let error = check(&["scheduled"], &["Stock"]).expect_err("no class");
        assert_eq!(error.key(), "triggers.schedule[1].worker.class");
        assert!(error.to_string().contains("export class Cart extends worker.Worker"), "{error}");
        let error = check(&[], &["Cart"]).expect_err("no handler for the other schedule");
        assert!(error.to_string().contains("needs the handler `scheduled`"), "{error}");
        let error = check(&["scheduled", "event"], &["Cart"]).expect_err("nothing runs the handler");
        assert!(error.to_string().contains("[[triggers.event]]"), "{error}");
    }
}
