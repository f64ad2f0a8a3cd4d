export class NotFound extends Error { constructor(m) { super(m); this.name = this.constructor.name; } } export function handler() {}
export class Model { get type() { return this.constructor.name; } static make() { return new Model(); } } export const make = () => Model.make(); export const Response = class {};
