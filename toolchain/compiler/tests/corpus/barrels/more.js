export const mark = (name) => { (globalThis.corpusBarrels ??= []).push(name); };
mark("more");
export const both = "more";
export const own = "more's, which is shadowed";
export const late = () => late2();
function late2() { return mark.name + typeof Thing; }
class Thing {}
