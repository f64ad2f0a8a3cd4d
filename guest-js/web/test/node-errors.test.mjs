// Errors of the modules of Node.js: each call must throw what Node's own module throws, by class and code.
import "./world.mjs";
import assert from "node:assert/strict";
import { test } from "node:test";

const calls = {
  path: [
    "it.join(1)",
    "it.resolve(null)",
    "it.dirname()",
    "it.basename('a', 1)",
    "it.extname({})",
    "it.parse(5)",
    "it.format('x')",
    "it.format(null)",
    "it.relative('a')",
    "it.isAbsolute(1)",
    "it.normalize()",
    "it.toNamespacedPath(5)",
  ],
  querystring: [
    "it.unescape('%')",
    "it.stringify(5)",
    "it.parse(5)",
    "it.escape('\\ud800')",
    "it.stringify({ a: '\\ud800' })",
  ],
  url: [
    "it.parse(5)",
    "it.parse()",
    "it.format(5)",
    "it.resolve(5, 'a')",
    "it.fileURLToPath('http://a')",
    "it.fileURLToPath(5)",
    "it.fileURLToPath('file://host/a')",
    "it.fileURLToPath('file:///a%2fb')",
    "it.pathToFileURL(5)",
    "it.urlToHttpOptions(5)",
    "it.domainToASCII('bücher.example')",
    "it.domainToUnicode('xn--bcher-kva.example')",
    "it.parse('http://a b')",
    "it.parse('javascript:x', false, true).href",
    "it.fileURLToPath('nonsense')",
    "it.fileURLToPath({ href: 'file:///a', protocol: 'file:', auth: null })",
    "it.fileURLToPath('file:///a%20b')",
    "JSON.stringify(it.parse('https://u:p@h.test:8/p?q=1#f'))",
    "JSON.stringify(it.parse('/p?q=1', true))",
    "new it.URL('nope')",
    "new it.URL('nope', 'http://a:b')",
    "Object.assign(new it.URL('http://a'), { href: 'nope' })",
  ],
  util: [
    "it.promisify(5)",
    "it.callbackify(5)",
    "it.inherits(5, 5)",
    "it.inherits(function () {}, {})",
    "it.deprecate(5)",
    "it.inspect({}, { get a() {} })",
    "it.format()",
    "it.styleText('nope', 'x')",
    "it.styleText('red', 5)",
    "it.stripVTControlCharacters(5)",
    "it.debuglog('x')",
    "it.types.isDate()",
    "it.inherits()",
    "it.toUSVString('\\ud800')",
    "it.aborted()",
    "it.debuglog(5)",
    "it.isDeepStrictEqual(1, 1)",
  ],
  events: [
    "new it.EventEmitter().on('a', 5)",
    "new it.EventEmitter().once('a')",
    "new it.EventEmitter().setMaxListeners(-1)",
    "new it.EventEmitter().setMaxListeners('x')",
    "new it.EventEmitter().emit('error')",
    "new it.EventEmitter().emit('error', 'x')",
    "new it.EventEmitter().emit('error', new RangeError('r'))",
    "new it.EventEmitter().removeListener('a', 5)",
    "it.once(5, 'a')",
    "it.once({}, 'a')",
    "it.on({}, 'a')",
    "it.getEventListeners(5)",
    "it.setMaxListeners(-1)",
    "it.setMaxListeners(1, 5)",
    "it.once(new it.EventEmitter(), 'a', { signal: 5 })",
    "it.addAbortListener(5)",
    "new it.EventEmitter().prependListener('a', {})",
    "it.getMaxListeners(5)",
  ],
  stream: [
    "it.Readable.from(5)",
    "it.Readable.from(null)",
    "new it.Writable().write(null)",
    "new it.Writable().write(5)",
    "new it.Writable().setDefaultEncoding('x')",
    "it.pipeline()",
    "it.pipeline(new it.PassThrough())",
    "it.finished(5)",
    "it.finished(new it.PassThrough(), 5)",
    "new it.Readable({ read() {} }).setEncoding('nope')",
    "new it.Writable({ highWaterMark: -1 })",
    "new it.Readable({ highWaterMark: 'x' })",
    "it.compose()",
    "it.addAbortSignal(5, new it.PassThrough())",
    "new it.Readable({ read() {} }).map(5)",
    "new it.Readable({ read() {} }).forEach(5)",
    "new it.Readable({ read() {} }).take(-1)",
    "new it.PassThrough().wrap(5)",
    "it.Duplex.from(5)",
    "it.setDefaultHighWaterMark(false, -1)",
  ],
  string_decoder: [
    "new it.StringDecoder('nope')",
    "new it.StringDecoder().write(5)",
    "new it.StringDecoder('utf8').write('abc')",
    "new it.StringDecoder('hex').write(Buffer.from('a'))",
    "new it.StringDecoder(5)",
    "new it.StringDecoder().encoding",
    "new it.StringDecoder('binary').encoding",
    "new it.StringDecoder('ucs2').encoding",
    "new it.StringDecoder('base64url').end(Buffer.from('ab'))",
  ],
  assert: [
    "it.throws(5)",
    "it.throws(() => {}, 5)",
    "it.throws(() => { throw new Error('x'); }, 5)",
    "it.match(5, /x/)",
    "it.match('x', 'x')",
    "it.doesNotThrow(5)",
    "it.equal(1)",
    "it.rejects(5)",
    "it.ok()",
    "it.throws(() => { throw new Error('x'); }, 'x')",
    "it.ifError(0)",
    "it.fail()",
    "it.strictEqual()",
    "it.throws(() => { throw new Error('x'); }, {})",
  ],
  timers: ["it.setTimeout(5)", "it.setInterval('x')", "it.setImmediate()", "it.clearTimeout('x')"],
  process: [
    "it.nextTick(5)",
    "it.getBuiltinModule(5)",
    "it.hrtime(5)",
    "it.emitWarning(5)",
    "it.getBuiltinModule('nothing')",
  ],
  module: [
    "it.createRequire(5)",
    "it.createRequire('relative')",
    "it.isBuiltin('fs-nothing')",
    "it.isBuiltin('node:path')",
    "it.isBuiltin('path/posix')",
  ],
  punycode: ["it.decode('\\x80')", "it.toASCII('mañana.com')", "it.decode('99999999999999999999')"],
  async_hooks: [
    "new it.AsyncResource(5)",
    "new it.AsyncLocalStorage().run(1)",
    "it.AsyncResource.bind(5)",
    "it.AsyncLocalStorage.bind(5)",
    "it.createHook({ init: 5 })",
    "new it.AsyncResource('x', 'y')",
    "it.executionAsyncId() >= 0",
  ],
  diagnostics_channel: [
    "it.channel(5)",
    "it.channel('x').subscribe(5)",
    "it.subscribe('x', 5)",
    "it.tracingChannel(5)",
  ],
  zlib: ["it.crc32(5)", "it.crc32('a', 'x')"],
};

const shown = (value) =>
  value instanceof Promise
    ? value.then(
        () => "settled",
        (error) => ["rejected", error.name, error.code],
      )
    : ["string", "boolean"].includes(typeof value)
      ? value
      : typeof value;

async function outcome(it, call) {
  try {
    // Nobody listens to errors that are emitted later.
    const value = new Function("it", `return ${call};`)(it);
    value?.on?.("error", () => {});
    return await shown(value);
  } catch (error) {
    return [error.constructor.name, error.name, error.code, Object.hasOwn(error, "code")];
  }
}

for (const [name, list] of Object.entries(calls)) {
  test(`errors of node:${name}`, async () => {
    const [mine, theirs] = [await import(`../src/node/${name}.js?world=errors`), await import(`node:${name}`)];
    const differences = [];
    for (const call of list) {
      const [got, wanted] = [await outcome(mine.default, call), await outcome(theirs.default, call)];
      if (JSON.stringify(got) !== JSON.stringify(wanted))
        differences.push(`${call}: ours ${JSON.stringify(got)}, Node's ${JSON.stringify(wanted)}`);
    }
    assert.equal(differences.join("\n"), "");
  });
}
