export const ran = [];
const counted = (name) => ({ valueOf() { ran.push(name); return 1; }, toString() { ran.push(name + " text"); return "x"; } });
Math.min(counted("min"), 1);
counted("less") < 1;
`${counted("template")}`;
const unused = +counted("plus");
const unusedObject = { [counted("key")]: 1 };
class Unused { static [counted("class key")] = 1; }
class Unused2 { static x = String(counted("static")); }
export class Exported { [counted("exported key")]() {} }
{ isNaN(counted("block")); }
if (counted("if") < 0) {}
try { Number(counted("try")); } catch {}
(() => { parseInt(counted("iife")); })();
let a = 1 > 2 ? counted("never") : String(counted("conditional"));
var b = [counted("array") - 1];
const c = class { static { Math.max(counted("expression"), 1); } };
try { early; } catch (e) { ran.push(e.name); }
const early = 1;
try { class E extends 5 {} } catch (e) { ran.push(e.name); }
try { missingGlobal; } catch (e) { ran.push(e.name); }
switch (counted("switch") + 0) {}
label: { +counted("label"); break label; }
