// The module `elias/forms`: other ways to declare the handlers of a component. Each form returns an object with
// handlers, as `export default` takes it; a module without a default export is the component that its form made.
import native from "elias:native";
import { Response } from "../fetch/response.js";
import { registry } from "../internal/registry.js";
import { defineGlobals } from "../webidl/interfaces.js";
import { createAPI as addEndpoint, isJson } from "./api.js";
import { HttpError, problem } from "./problem.js";
import { ValidationFailure, check, checkSchema } from "./schema.js";

/** The component of this module: its owner, the form that declared it, and its implementations by their numbers. */
let declared;

/** Registers the component of this module; `component` is its implementation `number`. */
function declareComponent(form, component, owner = component, number = 1) {
  declared ??= { form, owner, stages: new Map() };
  if (declared.owner !== owner) throw new TypeError(`this module is a component already, by ${declared.form}: a module makes one component`);
  if ((declared.stages.get(number) ?? component) !== component) throw new TypeError(`stage${number} of this component is implemented already`);
  declared.stages.set(number, component);
  registry.formComponent ??= component;
  native.setApplication(component, number);
  return component;
}

/** Implementations that a component may have. */
const STAGES_MAX = 16;

/** Declares the packages of the component; the build compares them with the bundled ones. */
function declareDependencies(dependencies, form) {
  if (dependencies === undefined) return;
  const isName = (entry) => typeof entry === "string" && /^(?:@[^@/]+\/)?[^@/]+@\S+$/.test(entry);
  if (!Array.isArray(dependencies) || !dependencies.every(isName)) {
    throw new TypeError(`the dependencies of ${form} are a list of names with versions, such as ["lodash@4.17.21"]`);
  }
  native.dependOn?.(dependencies.join("\n"));
}

/**
 * Adds an endpoint with its handler. All endpoints of a module form one router, which responds with 404 and 405 by
 * itself.
 */
export function createAPI(options) {
  const { dependencies, ...endpoint } = options ?? {};
  declareDependencies(dependencies, "ELIAS.createAPI");
  return declareComponent("ELIAS.createAPI", addEndpoint(endpoint));
}

/** A component that maps an input to an output: by calls, and by HTTP POST with JSON. */
export function createComponent(options) {
  // Without a name it has that of its package.json.
  const { name = native.componentName?.() ?? "component", process, input, output, dependencies, ...rest } = options ?? {};
  if (options?.name !== undefined) checkName(name, "ELIAS.createComponent");
  declareDependencies(dependencies, "ELIAS.createComponent");
  if (typeof process !== "function") throw new TypeError("ELIAS.createComponent needs process: createComponent({ process(input, ctx) { ... } })");
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) throw new TypeError(`ELIAS.createComponent has no option ${unknown}; there are name, process, input, output, dependencies`);
  checkSchema(input, "input");
  checkSchema(output, "output");
  describeSchemas(1, input, output);
  return declareComponent("ELIAS.createComponent", processing(name, process, input, output));
}

/** Notes the schemas of an implementation for the component's manifest. */
function describeSchemas(number, input, output) {
  native.describeSchema?.(number, "", "input", input);
  native.describeSchema?.(number, "", "output", output);
}

function processing(name, process, inputSchema, outputSchema) {
  const run = async (input, env, ctx) => {
    const checked = await check(inputSchema, input);
    if (checked instanceof ValidationFailure) return checked;
    const output = await check(outputSchema, await process(checked, ctx, env));
    if (output instanceof ValidationFailure) throw new TypeError(`${name}: the output is not valid: ${describeIssues(output)}`);
    return output;
  };
  return {
    async call(input, env, ctx) {
      const output = await run(input, env, ctx);
      if (output instanceof ValidationFailure) throw new TypeError(`${name}: the input is not valid: ${describeIssues(output)}`);
      return output;
    },
    async fetch(request, env, ctx) {
      if (request.method !== "POST") {
        return problem(405, "method-not-allowed", `${name} takes POST, not ${request.method}`, undefined, { allow: "POST" });
      }
      const text = await request.text();
      if (text !== "" && !isJson(request)) return problem(415, "not-json", "the body must be JSON, with the content type application/json");
      let input;
      try {
        input = text === "" ? undefined : JSON.parse(text);
      } catch (error) {
        return problem(400, "bad-json", `the body is not valid JSON: ${error.message}`);
      }
      try {
        const output = await run(input, env, ctx);
        if (output instanceof ValidationFailure) return problem(422, "invalid-input", "the input is not valid", { issues: output.issues });
        return output === undefined ? new Response(null, { status: 204 }) : Response.json(output);
      } catch (error) {
        if (error instanceof HttpError) return error.response;
        throw error;
      }
    },
  };
}

const describeIssues = ({ issues }) => issues.map(({ message, path }) => (path.length ? `${path.join(".")}: ${message}` : message)).join("; ");

/** A named component, which `implement` gives its handlers: those of `export default`, or `process`; and `stage2` a second implementation. */
export function component(name) {
  checkName(name, "ELIAS.component");
  return stage({ name }, 1);
}

/** The stage `number` of a component, which waits for its implementation, or is left to another module. */
function stage(owner, number) {
  const { name } = owner;
  const waiting = {
    implement(handlers) {
      const { process, input, output, dependencies, ...rest } = handlers ?? {};
      declareDependencies(dependencies, "ELIAS.component");
      const none = Object.values(rest).every((handler) => typeof handler !== "function");
      if (typeof process !== "function" && none) {
        throw new TypeError(`ELIAS.component("${name}").implement needs process, or handlers such as fetch`);
      }
      describeSchemas(number, input, output);
      const base = typeof process === "function" ? processing(name, process, input, output) : {};
      return withLaterStages(declareComponent("ELIAS.component", { ...base, ...rest }, owner, number), owner, number);
    },
  };
  return withLaterStages(waiting, owner, number);
}

/** Gives `target` the stages after `number` as methods, which are not enumerable and so no handlers. */
function withLaterStages(target, owner, number) {
  for (let next = number + 1; next <= STAGES_MAX; next++) Object.defineProperty(target, `stage${next}`, { value: () => stage(owner, next) });
  return target;
}

function checkName(name, form) {
  if (typeof name !== "string" || !/^[a-z0-9][a-z0-9._-]{0,63}$/i.test(name)) {
    throw new TypeError(`${form} needs a name: letters, digits, dots, hyphens and underscores, at most 64 of them`);
  }
}

export const ELIAS = Object.freeze({ createAPI, createComponent, component, HttpError });
export { HttpError };

defineGlobals({ ELIAS });
