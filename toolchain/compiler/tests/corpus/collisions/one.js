export class NotFound extends Error {} export const handler = () => {}; export const Model = class Model {}; export function Response() {}
